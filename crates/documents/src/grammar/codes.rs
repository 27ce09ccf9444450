//! Codes and their meanings. "Login Event Type" and "Logout Event Type", object reference; "LoginEventLog" for LOGIN_TYPE.

/// Codes, each with its meaning.
pub type Table = &'static [(&'static str, &'static str)];

/// `API_TYPE`
pub const API_TYPE: Table = &[
    ("D", "Apex Class"),
    ("E", "SOAP Enterprise"),
    ("I", "SOAP Cross Instance"),
    ("M", "SOAP Metadata"),
    ("O", "Old SOAP"),
    ("P", "SOAP Partner"),
    ("S", "SOAP Apex"),
    ("T", "SOAP Tooling"),
    ("X", "XmlRPC"),
    ("f", "Feed"),
    ("l", "Live Agent"),
    ("p", "SOAP ClientSync"),
];

/// `REQUEST_STATUS`
pub const REQUEST_STATUS: Table = &[
    ("S", "Success"),
    ("F", "Failure"),
    ("U", "Undefined"),
    ("A", "Authorization Error"),
    ("R", "Redirect"),
    ("N", "Not Found"),
];

/// `LOGIN_TYPE`
pub const LOGIN_TYPE: Table = &[
    ("3", "Customer Service Portal"),
    ("5", "SAML Idp Initiated SSO"),
    ("6", "Remote Access Client"),
    ("7", "AppExchange"),
    ("8", "SAML Sfdc Initiated SSO"),
    ("9", "Partner Portal"),
    ("A", "Application"),
    ("E", "SelfService"),
    ("I", "Other Apex API"),
    ("R", "Partner Product"),
    ("b", "SAML Customer Service Portal SSO"),
    ("c", "SAML Partner Portal SSO"),
    ("h", "SAML Site SSO"),
    ("i", "Remote Access 2.0"),
    ("j", "Third Party SSO"),
    ("k", "Chatter Communities External User"),
    ("l", "Networks Portal API Only"),
    ("m", "SAML Chatter Communities External User SSO"),
    ("n", "Chatter Communities External User Third Party SSO"),
    ("q", "Partner Portal Third-Party SSO"),
    ("r", "Employee Login to Community"),
    ("s", "Certificate-based login"),
    ("w", "Passwordless Login"),
    ("z", "Lightning Login"),
];

/// `SESSION_TYPE`
pub const SESSION_TYPE: Table = &[
    ("A", "API"),
    ("B", "TempContentExchange"),
    ("C", "Content"),
    ("E", "UserSite"),
    ("F", "TempUIFrontdoor"),
    ("G", "TempOauthAccessTokenFrontdoor"),
    ("I", "APIOnlyUser"),
    ("N", "ChatterNetworks"),
    ("O", "Oauth2"),
    ("P", "OauthApprovalUI"),
    ("R", "SitePreview"),
    ("S", "SubstituteUser"),
    ("T", "SiteStudio"),
    ("U", "UI"),
    ("V", "Visualforce"),
    ("W", "WDC_API"),
    ("Y", "TempVisualforceExchange"),
    ("Z", "ChatterNetworksAPIOnly"),
];

/// `SESSION_LEVEL`. The integration knows high assurance as 2, Salesforce's documentation as 10.
pub const SESSION_LEVEL: Table =
    &[("1", "Standard Session"), ("2", "High-Assurance Session"), ("10", "High-Assurance Session")];

/// `PLATFORM_TYPE`
pub const PLATFORM_TYPE: Table = &[
    ("1000", "Windows"),
    ("1008", "Windows 2003"),
    ("1013", "Windows 8.1"),
    ("1015", "Windows 10"),
    ("2003", "Macintosh/Apple OSX"),
    ("4000", "Linux"),
    ("5005", "Android"),
    ("5006", "iPhone"),
    ("5007", "iPad"),
    ("5200", "Android 10.0"),
];

/// `APP_TYPE`
pub const APP_TYPE: Table = &[
    ("1000", "Application"),
    ("1007", "SFDC Application"),
    ("1014", "Chat"),
    ("2501", "CTI"),
    ("2514", "OAuth"),
    ("3475", "SFDC Partner Portal"),
];

/// `USER_TYPE` of Logout files
pub const USER_TYPE: Table = &[
    ("A", "Automated Process"),
    ("C", "Customer Portal User"),
    ("D", "External Who"),
    ("F", "Self-Service"),
    ("G", "Guest"),
    ("L", "Package License Manager"),
    ("N", "Salesforce to Salesforce"),
    ("O", "Power Custom"),
    ("P", "Partner"),
    ("S", "Standard"),
    ("X", "Salesforce Administrator"),
    ("b", "High Volume Portal"),
    ("n", "CSN Only"),
    ("o", "Custom"),
    ("p", "Customer Portal Manager"),
];

/// The first three digits of a numeric `USER_AGENT`
pub const USER_AGENT: Table = &[
    ("100", "Internet Explorer"),
    ("110", "Firefox"),
    ("130", "Chrome"),
    ("140", "Safari"),
    ("150", "Opera"),
    ("160", "Android"),
    ("170", "Netscape"),
    ("180", "Webkit"),
    ("190", "Gecko"),
    ("230", "Blackberry"),
    ("240", "Good Access"),
    ("999", "Unknown"),
];
