//! What a document can be made of: nodes, the forms in which a value is written, codes and their meaning, names, kinds of
//! events. Nothing here knows a type or an object.

pub mod class;
pub mod codes;
pub mod form;
pub mod kinds;
pub mod names;
pub mod node;
