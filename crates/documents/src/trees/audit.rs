//! Changes made in Setup. Fields: "SetupAuditTrail", object reference.
//!
//! Who acts and who is affected are two users: `user` is CreatedBy, `user.target` the one that `Display` names. Who was logged
//! in as CreatedBy is DelegateUser ([`super::columns`]).

use super::parts::{EVENT, HEAD};
use crate::grammar::{
    form::Form::*,
    node::Node::{self, *},
};

/// A record of SetupAuditTrail.
pub const OBJECT: &[Node] = &[
    Parts(HEAD),
    Object(
        "event",
        &[Parts(EVENT), Column("action", "Action", Keyword), Column("created", "CreatedDate", Date)],
    ),
    Object(
        "user",
        &[
            Column("id", "CreatedById|CreatedBy.Id", Keyword),
            Column("name", "CreatedBy.Username", Keyword),
            Column("full_name", "CreatedBy.Name|CreatedBy.FullName", Keyword),
            Column("email", "CreatedBy.Email", Keyword),
            Behind {
                person: "DelegateUser",
                user: "CreatedById|CreatedBy.Id|CreatedBy.Username",
                parts: &[Object(
                    "effective",
                    &[
                        Also("id", "CreatedById|CreatedBy.Id", Keyword),
                        Also("name", "CreatedBy.Username", Keyword),
                        Also("email", "CreatedBy.Email", Keyword),
                    ],
                )],
            },
            Object(
                "target",
                &[
                    Column("name", "Display", TargetName),
                    Column("domain", "Display", TargetDomain),
                    Column("email", "Display", TargetEmail),
                ],
            ),
        ],
    ),
    Object(
        "related",
        &[Distinct(
            "user",
            &[
                ("CreatedById|CreatedBy.Id", Keyword),
                ("CreatedBy.Username", Keyword),
                ("CreatedBy.Email", Keyword),
                ("DelegateUser", Keyword),
                ("Display", Target),
                ("Display", TargetName),
            ],
        )],
    ),
    Object(
        "salesforce",
        &[
            Provenance,
            Object(
                "setup_audit_trail",
                &[
                    Column("created_by_id", "CreatedById|CreatedBy.Id", Keyword),
                    Column("created_by_context", "CreatedByContext", Keyword),
                    Column("created_by_issuer", "CreatedByIssuer", Keyword),
                    Column("delegate_user", "DelegateUser", Keyword),
                    Column("display", "Display", Keyword),
                    Column("id", "Id", NoEmptyKey),
                    Column("responsible_namespace_prefix", "ResponsibleNamespacePrefix", Keyword),
                    Column("section", "Section", Keyword),
                    Rest,
                ],
            ),
        ],
    ),
];
