//! Event types as they stand in a state: a list of names.

use crate::config::streams::EventTypes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub fn serialize<S: Serializer>(types: &EventTypes, serializer: S) -> Result<S::Ok, S::Error> {
    types.to_list().serialize(serializer)
}

pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<EventTypes, D::Error> {
    Vec::deserialize(deserializer).map(EventTypes::from_list)
}
