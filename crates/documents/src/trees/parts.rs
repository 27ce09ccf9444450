//! What stands in the documents of several types.

use crate::grammar::node::Node;

/// The object `url`, of what stands in a column.
macro_rules! url {
    ($column:literal) => {
        Object(
            "url",
            &[
                Column("original", $column, Unquoted),
                Column("scheme", $column, Scheme),
                Column("domain", $column, Domain),
                Column("path", $column, Path),
                Column("extension", $column, Extension),
                Column("query", $column, Query),
            ],
        )
    };
}

pub(super) use url;

/// How every document begins.
pub const HEAD: &[Node] = &[
    Node::Timestamp,
    Node::Object("ecs", &[Node::Fixed("version", "\"8.11.0\"")]),
    Node::Object("data_stream", &[Node::Fixed("type", "\"logs\""), Node::Dataset("dataset")]),
];

/// What stands in `event` of every document.
pub const EVENT: &[Node] = &[
    Node::Id("id"),
    Node::Kind,
    Node::Fixed("module", "\"salesforce\""),
    Node::Dataset("dataset"),
    Node::Provider("provider"),
    Node::Original("original"),
];
