//! Columns that say the same in every type, under all their names: one rule each, whatever document they stand in.
//!
//! Who acts. `user` is the account in whose name and with whose rights something happened: USER_ID, UserId, CreatedBy. It is so
//! in every type, for of the types that one session writes hardly any tells more. Where a second person stands behind the
//! account (an administrator who logged in as the user, support staff), that one is in `related.user`, and
//! `user.effective` says once more whose rights were used; so documents with a `user.effective` are those in which
//! somebody acted in another's name. `user.target` is the user who is acted upon.

use crate::grammar::{
    form::Form::*,
    node::Node::{self, *},
};

/// The names of the user in a file, where they are looked up.
pub const NAMES: Node =
    Parts(&[Column("name", "USER.Username", Keyword), Column("full_name", "USER.FullName", Keyword)]);
/// The same in a record.
pub const NAME_FIELDS: Node = Parts(&[
    Column("name", "User.Username", Keyword),
    Column("full_name", "User.FullName|User.Name", Keyword),
]);

/// What tells whether something succeeded, in files.
pub const OUTCOMES: &str =
    "REQUEST_STATUS|SUCCESS|STATUS|IS_SUCCESS|IS_SUCCESSFUL|JOB_STATUS|BATCH_STATUS|OPERATION_STATUS";
/// The same in records.
pub const OUTCOME_FIELDS: &str =
    "RequestStatus|Status|Success|IsSuccess|IsSuccessful|JobStatus|BatchStatus|OperationStatus";

/// Where a request came from, in files: the first that is an address.
pub const ADDRESSES: &str = "CLIENT_IP|SOURCE_IP|IP_ADDRESS|REMOTE_ADDRESS|REMOTE_IP|CURRENT_IP";
/// The same in records.
pub const ADDRESS_FIELDS: &str = "SourceIp|ClientIp|IpAddress|RemoteAddress|RemoteIp|CurrentIp";

/// All addresses in a file.
pub const RELATED_ADDRESSES: Node = Distinct(
    "ip",
    &[
        ("CLIENT_IP", Ip),
        ("SOURCE_IP", Ip),
        ("IP_ADDRESS", Ip),
        ("REMOTE_ADDRESS", Ip),
        ("REMOTE_IP", Ip),
        ("CURRENT_IP", Ip),
        ("PREVIOUS_IP", Ip),
    ],
);
/// The same in a record.
pub const RELATED_ADDRESS_FIELDS: Node = Distinct(
    "ip",
    &[
        ("SourceIp", Ip),
        ("ClientIp", Ip),
        ("IpAddress", Ip),
        ("RemoteAddress", Ip),
        ("RemoteIp", Ip),
        ("CurrentIp", Ip),
        ("PreviousIp", Ip),
    ],
);

/// All users in a file.
pub const RELATED_USERS: Node = Distinct(
    "user",
    &[
        ("USER_ID_DERIVED", Keyword),
        ("USER_ID", Keyword),
        ("USER_NAME|USERNAME", Keyword),
        ("USER.Username", Keyword),
        ("DELEGATED_USER_ID_DERIVED", Keyword),
        ("DELEGATED_USER_ID", Keyword),
        ("DELEGATED_USER_NAME|DELEGATED_USERNAME", Keyword),
        ("ACTUAL_USER_ID_DERIVED", Keyword),
        ("ACTUAL_USER_ID", Keyword),
        ("ACTUAL_LOGGED_IN_USER_ID_DERIVED", Keyword),
        ("ACTUAL_LOGGED_IN_USER_ID", Keyword),
        ("VIEWING_USER_ID_DERIVED", Keyword),
        ("VIEWING_USER_ID", Keyword),
        ("MEMBER_ID", OneUser),
        ("SHARED_WITH_ENTITY_ID", OneUser),
        ("DELEGATED_USER.Username", Keyword),
        ("ACTUAL_USER.Username", Keyword),
        ("ACTUAL_LOGGED_IN_USER.Username", Keyword),
        ("VIEWING_USER.Username", Keyword),
        ("MEMBER.Username", Keyword),
        ("SHARED_WITH_ENTITY.Username", Keyword),
    ],
);
/// The same in a record.
pub const RELATED_USER_FIELDS: Node = Distinct(
    "user",
    &[
        ("UserId|UserIdentifier", Keyword),
        ("Username|UserName", Keyword),
        ("User.Username", Keyword),
        ("DelegatedUserId", Keyword),
        ("DelegatedUserIdentifier", Keyword),
        ("DelegatedUsername|DelegatedUserName", Keyword),
        ("ActualUserId", Keyword),
        ("ActualUserIdentifier", Keyword),
        ("ActualLoggedInUserId", Keyword),
        ("ActualLoggedInUserIdentifier", Keyword),
        ("ViewingUserId", Keyword),
        ("ViewingUserIdentifier", Keyword),
        ("DelegateUser", Keyword),
        ("ImpactedUserIds", OneUser),
        ("MemberId", OneUser),
        ("MemberIdentifier", OneUser),
        ("SharedWithEntityId", OneUser),
        ("SharedWithEntityIdentifier", OneUser),
        ("DelegatedUser.Username", Keyword),
        ("ActualUser.Username", Keyword),
        ("ActualLoggedInUser.Username", Keyword),
        ("ViewingUser.Username", Keyword),
        ("Member.Username", Keyword),
        ("SharedWithEntity.Username", Keyword),
    ],
);

/// `effective`, in files.
pub const EFFECTIVE: Node = Behind {
    // An id first: it can be compared with that of the user.
    person: "DELEGATED_USER_ID_DERIVED|DELEGATED_USER_ID|ACTUAL_USER_ID_DERIVED|ACTUAL_USER_ID|\
             ACTUAL_LOGGED_IN_USER_ID_DERIVED|ACTUAL_LOGGED_IN_USER_ID|DELEGATED_USER_NAME|DELEGATED_USERNAME",
    user: "USER_ID_DERIVED|USER_ID|USER_NAME|USERNAME",
    parts: &[Object(
        "effective",
        &[
            Also("id", "USER_ID_DERIVED|USER_ID", Keyword),
            Also("name", "USER.Username", Keyword),
            Also("email", "USER_NAME|USERNAME|USER.Email", Keyword),
        ],
    )],
};
/// The same in records.
pub const EFFECTIVE_FIELDS: Node = Behind {
    person: "DelegatedUserId|DelegatedUserIdentifier|ActualUserId|ActualUserIdentifier|ActualLoggedInUserId|\
             ActualLoggedInUserIdentifier|DelegatedUsername|DelegatedUserName|DelegateUser",
    user: "UserId|UserIdentifier|Username|UserName",
    parts: &[Object(
        "effective",
        &[
            Also("id", "UserId|UserIdentifier", Keyword),
            Also("name", "User.Username", Keyword),
            Also("email", "Username|UserName|User.Email", Keyword),
        ],
    )],
};

/// What stands in `user` of a file that names its user by an id alone.
pub const USER: &[Node] =
    &[Column("id", "USER_ID_DERIVED", Keyword), NAMES, Column("email", "USER.Email", Keyword), EFFECTIVE];
