//! What there is no document of its own for: any event type, any object, by the names of its columns.
//!
//! Of columns with a name for the same thing the first that a file has is taken; the others keep their own name.

use super::{
    columns,
    parts::{EVENT, HEAD, url},
};
use crate::grammar::{
    form::Form::*,
    node::Node::{self, *},
};

/// A row of any event log file.
pub const FILE: &[Node] = &[
    Parts(HEAD),
    Object(
        "event",
        &[
            Parts(EVENT),
            Success(columns::OUTCOMES),
            Also("duration", "RUN_TIME|TOTAL_MS|EXEC_TIME", MillisAsNanos),
        ],
    ),
    Object(
        "user",
        &[
            Column("id", "USER_ID_DERIVED|USER_ID|ACTUAL_USER_ID_DERIVED|ACTUAL_USER_ID", Keyword),
            columns::NAMES,
            Column("email", "USER_NAME|USERNAME|USER.Email", Keyword),
            Column("roles", "USER_TYPE", ListOfOne),
            columns::EFFECTIVE,
            Object("target", &[Also("id", "MEMBER_ID|SHARED_WITH_ENTITY_ID", OneUser)]),
        ],
    ),
    Object("organization", &[Column("id", "ORGANIZATION_ID", Keyword)]),
    Object(
        "source",
        &[
            Also("ip", columns::ADDRESSES, Ip),
            Column("address", columns::ADDRESSES, NoIp),
            Object(
                "geo",
                &[
                    Location("LATITUDE", "LONGITUDE"),
                    Column("country_iso_code", "COUNTRY_ISO|COUNTRY_CODE", Keyword),
                    Column("country_name", "COUNTRY", Keyword),
                    Column("region_name", "SUBDIVISION", Keyword),
                    Column("city_name", "CITY", Keyword),
                    Column("postal_code", "POSTAL_CODE", Keyword),
                ],
            ),
        ],
    ),
    Object("related", &[columns::RELATED_ADDRESSES, columns::RELATED_USERS]),
    Threat,
    url!("URI|URL|PAGE_URL|REQUEST_URI"),
    Object(
        "http",
        &[
            Object(
                "request",
                &[
                    Column("id", "REQUEST_ID", Keyword),
                    Column("method", "REQUEST_METHOD|METHOD|HTTP_METHOD", Keyword),
                    Column("bytes", "REQUEST_SIZE", Long),
                    Column("referrer", "HTTP_REFERER|REFERER|HTTP_REFERRER|REFERRER|REFERRER_URI", Unquoted),
                ],
            ),
            Object(
                "response",
                &[
                    Column("bytes", "RESPONSE_SIZE", Long),
                    Column("status_code", "STATUS_CODE|HTTP_STATUS_CODE", Long),
                ],
            ),
        ],
    ),
    Object(
        "user_agent",
        &[Either("original", &[("USER_AGENT|BROWSER_TYPE", NoDigits), ("CLIENT_INFO", Agent)])],
    ),
    Object(
        "salesforce",
        &[Provenance, Typed(&[Column("user_agent_code", "USER_AGENT|BROWSER_TYPE", Digits), Rest])],
    ),
];

/// A record of any object.
pub const OBJECT: &[Node] = &[
    Parts(HEAD),
    Object(
        "event",
        &[
            Parts(EVENT),
            Success(columns::OUTCOME_FIELDS),
            Column("created", "CreatedDate", Date),
            Also("duration", "RunTime|ElapsedTime", MillisAsNanos),
            Monitored(&[Also("risk_score", "Score", Double), Also("reason", "Summary", Keyword)]),
        ],
    ),
    Object(
        "user",
        &[
            Column("id", "UserId|UserIdentifier|ActualUserId|ActualUserIdentifier", Keyword),
            columns::NAME_FIELDS,
            Column("email", "Username|UserName|User.Email", Keyword),
            Column("roles", "UserType", ListOfOne),
            columns::EFFECTIVE_FIELDS,
            Object(
                "target",
                &[Also(
                    "id",
                    "ImpactedUserIds|MemberId|MemberIdentifier|SharedWithEntityId|SharedWithEntityIdentifier",
                    OneUser,
                )],
            ),
        ],
    ),
    Object("organization", &[Column("id", "OrganizationId|OrganizationIdentifier", Keyword)]),
    Object(
        "source",
        &[
            Also("ip", columns::ADDRESS_FIELDS, Ip),
            Column("address", columns::ADDRESS_FIELDS, NoIp),
            Object(
                "geo",
                &[
                    Location("Latitude", "Longitude"),
                    Column("country_iso_code", "CountryIso|CountryCode", Keyword),
                    Column("country_name", "Country", Keyword),
                    Column("region_name", "Subdivision", Keyword),
                    Column("city_name", "City", Keyword),
                    Column("postal_code", "PostalCode", Keyword),
                ],
            ),
        ],
    ),
    Object("related", &[columns::RELATED_ADDRESS_FIELDS, columns::RELATED_USER_FIELDS]),
    Threat,
    url!("Uri|Url|PageUrl|RequestUri"),
    Object(
        "http",
        &[
            Object(
                "request",
                &[
                    Column("id", "RequestIdentifier|RequestId", Keyword),
                    Column("method", "RequestMethod|HttpMethod|Method", Keyword),
                    Column("bytes", "RequestSize", Long),
                    Column("referrer", "HttpReferer|Referer|HttpReferrer|Referrer|ReferrerUri", Unquoted),
                ],
            ),
            Object(
                "response",
                &[
                    Column("bytes", "ResponseSize", Long),
                    Column("status_code", "StatusCode|HttpStatusCode", Long),
                ],
            ),
        ],
    ),
    Object(
        "user_agent",
        &[Either(
            "original",
            &[("UserAgent|BrowserType", NoDigits), ("CurrentUserAgent", NoDigits), ("ClientInfo", Agent)],
        )],
    ),
    Object(
        "salesforce",
        &[
            Provenance,
            Typed(&[
                Column("user_agent_code", "UserAgent|BrowserType", Digits),
                Column("id", "Id", NoEmptyKey),
                Rest,
            ]),
        ],
    ),
];
