//! Why a request failed. Both components have this file: WASI 0.2 and 0.3 know the same errors.

use crate::bindings::http::types::ErrorCode;

/// What happened, for a person who reads a message.
pub(crate) fn words(code: &ErrorCode) -> String {
    let text = match code {
        ErrorCode::DnsTimeout | ErrorCode::DnsError(_) | ErrorCode::DestinationNotFound => {
            "its name cannot be resolved"
        }
        ErrorCode::ConnectionRefused => "the connection was refused",
        ErrorCode::ConnectionTimeout => "connecting took too long",
        ErrorCode::ConnectionReadTimeout | ErrorCode::HttpResponseTimeout => "nothing came for too long",
        ErrorCode::ConnectionTerminated | ErrorCode::HttpResponseIncomplete => {
            "the connection was closed early"
        }
        ErrorCode::ConnectionLimitReached => "the host allows no more connections",
        ErrorCode::DestinationIpProhibited => "the host does not allow its address",
        ErrorCode::TlsCertificateError => "its certificate is not trusted",
        ErrorCode::TlsProtocolError | ErrorCode::TlsAlertReceived(_) => "no TLS connection could be made",
        other => return format!("{other:?}"),
    };
    text.to_owned()
}
