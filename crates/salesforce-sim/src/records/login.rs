//! What the records of LoginEvent, LogoutEvent and LoginHistory say.
//!
//! A record is made out of the row of the Login file that tells of the same login, so all agree. `CreatedDate` of the first
//! two is 4 to 8 seconds after `EventDate`; a record becomes queryable then, or later within the settle delay.

use super::record::{Record, text};
use crate::objects::stored::StoredObject;
use crate::soql::object::Value;

pub(super) fn value<'r>(record: &'r Record<'_>, field: &str) -> Value<'r> {
    let login = |column| record.login(column);
    match field {
        "Id" => text(record.id()),
        "EventDate" | "LoginTime" => Value::DateTime(record.date),
        "EventIdentifier" => text(record.identifier()),
        "CreatedDate" => Value::DateTime(record.created),
        "CreatedById" => record.created_by(),
        "ApiType" => login("API_TYPE"),
        "ApiVersion" => login("API_VERSION"),
        "Application" => text(match record.login_text("LOGIN_TYPE") {
            "A" | "8" => "Browser",
            "I" => "Data Loader",
            "6" => "Salesforce for iOS",
            _ => "Log collector",
        }),
        "AuthMethodReference" => login("AUTHENTICATION_METHOD_REFERENCE"),
        "AuthContextClassRef" => login("AUTHENTICATION_CONTEXT_CLASS_REFERENCE"),
        "AuthServiceId" | "AuthenticationServiceId" => login("AUTHENTICATION_SERVICE_ID"),
        "Browser" => login("BROWSER_TYPE"),
        "CipherSuite" => login("CIPHER_SUITE"),
        "CountryIso" => login("COUNTRY_CODE"),
        "OptionsIsGet" => Value::Boolean(false),
        "OptionsIsPost" => Value::Boolean(true),
        "EvaluationTime" => Value::Double(0.0),
        "ForwardedForIp" => login("FORWARDED_FOR_IP"),
        "HttpMethod" => text("POST"),
        "HttpReferer" => login("HTTP_REFERER"),
        "LoginHistoryId" => record.login_history_id(),
        "LoginKey" => login("LOGIN_KEY"),
        "LoginSubType" => login("LOGIN_SUB_TYPE"),
        "LoginType" => text(match record.login_text("LOGIN_TYPE") {
            "A" => "Application",
            "8" => "SAML Sfdc Initiated SSO",
            "i" => "Remote Access 2.0",
            "6" => "Remote Access Client",
            _ => "Other Apex API",
        }),
        "LoginUrl" => login("LOGIN_URL"),
        "Platform" => {
            text(if record.login_text("BROWSER_TYPE").contains("Windows") { "Windows 10" } else { "Unknown" })
        }
        "SessionKey" if record.object == StoredObject::LogoutEvent => record.key(1),
        "SessionLevel" => text("STANDARD"),
        "SourceIp" => login("SOURCE_IP"),
        "Status" => text(match record.login_text("LOGIN_STATUS") {
            "LOGIN_NO_ERROR" => "Success",
            "LOGIN_ERROR_INVALID_PASSWORD" => "Invalid Password",
            "LOGIN_ERROR_INVALID_USERNAME" => "Failed: Invalid Username",
            "LOGIN_ERROR_PASSWORD_LOCKOUT" => "Password Lockout",
            "LOGIN_ERROR_RESTRICTED_DOMAIN" => "Restricted IP",
            "LOGIN_ERROR_EXPIRED_PASSWORD" => "Failed: Expired Password",
            _ => "Failed: InResponseTo Invalid",
        }),
        "TlsProtocol" => {
            text(if record.login_text("TLS_PROTOCOL") == "TLSv1.3" { "TLS 1.3" } else { "TLS 1.2" })
        }
        "UseApiToken" => login("USE_API_TOKEN"),
        "UserId" => login("USER_ID_DERIVED"),
        "Username" => login("USER_NAME"),
        "UserType" => login("USER_TYPE"),
        _ => Value::Null,
    }
}
