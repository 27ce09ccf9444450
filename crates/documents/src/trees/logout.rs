//! Logouts. Columns: "Event Log File: Logout Event Type", object reference; "LogoutEvent", platform events guide.

use super::{
    columns,
    parts::{EVENT, HEAD},
};
use crate::grammar::{
    codes,
    form::Form::*,
    node::Node::{self, *},
};

/// A row of a Logout file.
pub const FILE: &[Node] = &[
    Parts(HEAD),
    Object("event", &[Parts(EVENT), Column("code", "REQUEST_ID", Keyword)]),
    Object("user", columns::USER),
    Object("source", &[Also("ip", columns::ADDRESSES, Ip), Column("address", columns::ADDRESSES, NoIp)]),
    Object("related", &[columns::RELATED_ADDRESSES, columns::RELATED_USERS]),
    Object("user_agent", &[Column("original", "BROWSER_TYPE", NoDigits)]),
    Object(
        "salesforce",
        &[
            Provenance,
            Object(
                "logout",
                &[
                    Column("event_type", "EVENT_TYPE", Keyword),
                    Object(
                        "session",
                        &[
                            Column("type", "SESSION_TYPE", Code(codes::SESSION_TYPE)),
                            Column("level", "SESSION_LEVEL", Code(codes::SESSION_LEVEL)),
                            Column("key", "SESSION_KEY", Keyword),
                        ],
                    ),
                    Column("browser_type", "BROWSER_TYPE", Keyword),
                    Column("platform_type", "PLATFORM_TYPE", Code(codes::PLATFORM_TYPE)),
                    Column("resolution_type", "RESOLUTION_TYPE", Keyword),
                    Column("app_type", "APP_TYPE", Code(codes::APP_TYPE)),
                    Column("client_version", "CLIENT_VERSION", Keyword),
                    Object(
                        "api",
                        &[
                            Column("type", "API_TYPE", Code(codes::API_TYPE)),
                            Column("version", "API_VERSION", Keyword),
                        ],
                    ),
                    Column("user_initiated_logout", "USER_INITIATED_LOGOUT", Boolean),
                    Column("login_key", "LOGIN_KEY", Keyword),
                    Column("user_id", "USER_ID", Keyword),
                    Column("organization_id", "ORGANIZATION_ID", Keyword),
                    Object("user", &[Column("roles", "USER_TYPE", ListOfCode(codes::USER_TYPE))]),
                    Rest,
                ],
            ),
        ],
    ),
];

/// A record of LogoutEvent.
pub const OBJECT: &[Node] = &[
    Parts(HEAD),
    Object("event", &[Parts(EVENT), Column("created", "CreatedDate", Date)]),
    Object(
        "user",
        &[
            Column("id", "UserId", Keyword),
            columns::NAME_FIELDS,
            Column("email", "Username|User.Email", Keyword),
            columns::EFFECTIVE_FIELDS,
        ],
    ),
    Object(
        "source",
        &[Also("ip", columns::ADDRESS_FIELDS, Ip), Column("address", columns::ADDRESS_FIELDS, NoIp)],
    ),
    Object("related", &[columns::RELATED_ADDRESS_FIELDS, columns::RELATED_USER_FIELDS]),
    Object(
        "salesforce",
        &[
            Provenance,
            Object(
                "logout",
                &[
                    Object(
                        "session",
                        &[Column("level", "SessionLevel", Keyword), Column("key", "SessionKey", Keyword)],
                    ),
                    Column("login_key", "LoginKey", Keyword),
                    Column("related_event_identifier", "RelatedEventIdentifier", Keyword),
                    Column("created_by_id", "CreatedById", Keyword),
                    Column("id", "Id", NoEmptyKey),
                    Rest,
                ],
            ),
        ],
    ),
];
