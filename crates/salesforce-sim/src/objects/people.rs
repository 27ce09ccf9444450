//! User and Profile (object reference, `sforce_api_objects_user` and `sforce_api_objects_profile`).

use crate::soql::object::{FieldType, Object, field, unfilterable};

/// `User` as SOQL sees it.
pub(crate) static USER: Object = Object {
    name: "User",
    fields: &[
        field("Id", FieldType::Id),
        field("Username", FieldType::Text),
        field("LastName", FieldType::Text),
        field("FirstName", FieldType::Text),
        field("Name", FieldType::Text),
        field("Email", FieldType::Text),
        field("Alias", FieldType::Text),
        field("IsActive", FieldType::Boolean),
        field("ProfileId", FieldType::Id),
        field("UserType", FieldType::Text),
        unfilterable("AboutMe", FieldType::Text),
        field("CreatedDate", FieldType::DateTime),
        field("LastModifiedDate", FieldType::DateTime),
        field("SystemModstamp", FieldType::DateTime),
        field("Profile.Id", FieldType::Id),
        field("Profile.Name", FieldType::Text),
    ],
};

/// `Profile` as SOQL sees it.
pub(crate) static PROFILE: Object = Object {
    name: "Profile",
    fields: &[
        field("Id", FieldType::Id),
        field("Name", FieldType::Text),
        field("UserType", FieldType::Text),
        field("CreatedDate", FieldType::DateTime),
        field("LastModifiedDate", FieldType::DateTime),
        field("SystemModstamp", FieldType::DateTime),
    ],
};
