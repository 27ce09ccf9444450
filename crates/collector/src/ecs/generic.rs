//! What there is no document of its own for: any event type, any object, by the names of its columns.
//!
//! Of columns with a name for the same thing the first that a file has is taken; the others keep their own name.

use super::{EVENT, Form::*, HEAD, Node, Node::*};

/// A row of any event log file.
pub const FILE: &[Node] = &[
    Parts(HEAD),
    Object(
        "event",
        &[
            Parts(EVENT),
            Also("outcome", "REQUEST_STATUS|SUCCESS|STATUS", Status),
            Also("duration", "RUN_TIME|TOTAL_MS|EXEC_TIME", MillisAsNanos),
        ],
    ),
    Object(
        "user",
        &[
            Column("id", "USER_ID_DERIVED|USER_ID", Keyword),
            Column("email", "USER_NAME|USERNAME", Keyword),
            Column("roles", "USER_TYPE", ListOfOne),
        ],
    ),
    Object("organization", &[Column("id", "ORGANIZATION_ID", Keyword)]),
    Object(
        "source",
        &[
            Column("ip", "CLIENT_IP|SOURCE_IP|IP_ADDRESS", Ip),
            Column("address", "CLIENT_IP|SOURCE_IP|IP_ADDRESS", NoIp),
        ],
    ),
    Object(
        "related",
        &[
            Distinct("ip", &[("CLIENT_IP|SOURCE_IP|IP_ADDRESS", Ip)]),
            Distinct(
                "user",
                &[("USER_ID_DERIVED", Keyword), ("USER_ID", Keyword), ("USER_NAME|USERNAME", Keyword)],
            ),
        ],
    ),
    url!("URI|URL"),
    Object(
        "http",
        &[
            Object(
                "request",
                &[
                    Column("id", "REQUEST_ID", Keyword),
                    Column("method", "REQUEST_METHOD|METHOD|HTTP_METHOD", Keyword),
                    Column("bytes", "REQUEST_SIZE", Long),
                    Column("referrer", "HTTP_REFERER|REFERER", Unquoted),
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
    Object("user_agent", &[Column("original", "USER_AGENT|BROWSER_TYPE", NoDigits)]),
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
            Also("outcome", "RequestStatus|Status|Success|IsSuccess", Status),
            Column("created", "CreatedDate", Date),
            Also("duration", "RunTime|ElapsedTime", MillisAsNanos),
        ],
    ),
    Object(
        "user",
        &[
            Column("id", "UserId|UserIdentifier", Keyword),
            Column("email", "Username|UserName", Keyword),
            Column("roles", "UserType", ListOfOne),
        ],
    ),
    Object("organization", &[Column("id", "OrganizationId|OrganizationIdentifier", Keyword)]),
    Object(
        "source",
        &[
            Column("ip", "SourceIp|ClientIp|IpAddress", Ip),
            Column("address", "SourceIp|ClientIp|IpAddress", NoIp),
        ],
    ),
    Object(
        "related",
        &[
            Distinct("ip", &[("SourceIp|ClientIp|IpAddress", Ip)]),
            Distinct("user", &[("UserId|UserIdentifier", Keyword), ("Username|UserName", Keyword)]),
        ],
    ),
    url!("Uri|Url"),
    Object(
        "http",
        &[
            Object(
                "request",
                &[
                    Column("id", "RequestIdentifier|RequestId", Keyword),
                    Column("method", "RequestMethod|HttpMethod|Method", Keyword),
                    Column("bytes", "RequestSize", Long),
                    Column("referrer", "HttpReferer|Referer", Unquoted),
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
    Object("user_agent", &[Column("original", "UserAgent|BrowserType", NoDigits)]),
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
