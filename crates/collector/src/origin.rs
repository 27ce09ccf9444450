//! Addresses of an org, checked once: what holds an [`Origin`] need not check again.

use crate::config::schema::Flaw;
use std::net::IpAddr;

/// Scheme and authority of a URL. `https`, or `http` on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Whether it is `https`.
    pub secure: bool,
    /// Host, or host and port, in lower case.
    pub authority: String,
}

/// The path of the token endpoint, on whichever host.
pub const TOKEN_PATH: &str = "/services/oauth2/token";

impl Origin {
    /// Reads the URL of an org: `https://acme.my.salesforce.com`. Spaces around it and slashes behind it are forgiven.
    pub fn parse(text: &str) -> Result<Self, Flaw> {
        let (origin, path) = split(text)?;
        if path.is_empty() {
            return Ok(origin);
        }
        Err(Flaw::with_hint(
            format!("must be a host without a path, not '{path}'"),
            format!("use \"{origin}\""),
        ))
    }

    /// Reads the URL of a token endpoint, given in full or as its host alone.
    pub fn parse_token_url(text: &str) -> Result<Self, Flaw> {
        let (origin, path) = split(text)?;
        if path.is_empty() || path == TOKEN_PATH {
            return Ok(origin);
        }
        let hint = format!("use \"{origin}\" or \"{origin}{TOKEN_PATH}\"");
        Err(Flaw::with_hint(format!("has the path '{path}', which is not that of the token endpoint"), hint))
    }
}

/// The domains below which orgs answer their API, for tokens to be sent to: of Salesforce alone, since pages under
/// `force.com` and `site.com` can be a customer's ("My Domain URL Formats", Salesforce Help; `.mil` is Government Cloud,
/// `.cn` Salesforce on Alibaba Cloud).
const ORGS: [&str; 3] = [".salesforce.com", ".salesforce.mil", ".sfcrmproducts.cn"];

impl Origin {
    /// Whether it is where an org of Salesforce may answer its API, and nobody else.
    pub fn is_salesforce(&self) -> bool {
        self.secure && ORGS.iter().any(|domain| self.authority.ends_with(domain)) && !self.is_login_host()
    }

    /// Whether it is one of the two hosts where the users of all orgs sign in.
    pub fn is_login_host(&self) -> bool {
        matches!(self.authority.as_str(), "login.salesforce.com" | "test.salesforce.com")
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}", if self.secure { "https" } else { "http" }, self.authority)
    }
}

fn split(text: &str) -> Result<(Origin, &str), Flaw> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Flaw::new("is empty"));
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        let with_scheme = format!("https://{}", text.trim_matches('/'));
        // It may have more wrong with it; the advice is good for all of it.
        let advice = Origin::parse(&with_scheme).err().and_then(|flaw| flaw.hint);
        return Err(Flaw::with_hint("has no scheme", advice.unwrap_or(format!("use \"{with_scheme}\""))));
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let path = path.trim_end_matches('/');
    let authority = authority.to_ascii_lowercase();
    let (host, port) = split_port(&authority);
    if !is_host(host) || port.is_some_and(|port| port.parse::<u16>().map_or(true, |port| port == 0)) {
        // What stands before an @ may be a password.
        let shown = crate::problem::quoted(authority.rsplit('@').next().unwrap_or_default(), 80);
        return Err(Flaw::with_hint(
            format!("has no valid host: '{shown}'"),
            "use \"https://DOMAIN.my.salesforce.com\"",
        ));
    }
    if let Some(domain) = host.strip_suffix(".lightning.force.com") {
        return Err(Flaw::with_hint(
            "is the address of the user interface, which does not answer the API",
            format!("use \"https://{domain}.my.salesforce.com\""),
        ));
    }
    if let Some(domain) = host.strip_suffix(".my.salesforce-setup.com") {
        return Err(Flaw::with_hint(
            "is the address of Setup, which does not answer the API",
            format!("use \"https://{domain}.my.salesforce.com\""),
        ));
    }
    let secure = match scheme.to_ascii_lowercase().as_str() {
        "https" => true,
        "http" if is_loopback(host) => false,
        "http" => {
            return Err(Flaw::with_hint("is not encrypted", format!("use \"https://{authority}{path}\"")));
        }
        _ => {
            return Err(Flaw::with_hint(
                "has an unknown scheme",
                format!("use \"https://{authority}{path}\""),
            ));
        }
    };
    Ok((Origin { secure, authority }, path))
}

fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

fn is_host(host: &str) -> bool {
    let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if let Some(address) = bracketed {
        return address.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    host.len() <= 253 && host.split('.').all(label)
}

fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(result: Result<Origin, Flaw>) -> String {
        let flaw = result.expect_err("should be refused");
        format!("{} ({})", flaw.message, flaw.hint.unwrap_or_default())
    }

    #[test]
    fn the_address_of_an_org_is_taken_with_spaces_and_slashes() {
        for text in ["https://acme.my.salesforce.com", " https://ACME.my.salesforce.com// "] {
            let origin = Origin::parse(text).ok().expect(text);
            assert_eq!(origin.to_string(), "https://acme.my.salesforce.com");
        }
        assert_eq!(
            Origin::parse("http://127.0.0.1:8080").ok().map(|o| o.to_string()).as_deref(),
            Some("http://127.0.0.1:8080")
        );
        assert_eq!(Origin::parse("http://[::1]:80").ok().map(|o| o.authority).as_deref(), Some("[::1]:80"));
    }

    #[test]
    fn a_token_url_is_taken_as_a_host_or_in_full() {
        for text in ["https://login.salesforce.com", "https://login.salesforce.com/services/oauth2/token/"] {
            let origin = Origin::parse_token_url(text).ok().expect(text);
            assert_eq!(origin.to_string(), "https://login.salesforce.com");
        }
        assert!(message(Origin::parse_token_url("https://login.salesforce.com/oauth")).contains("/oauth"));
    }

    #[test]
    fn a_wrong_address_is_refused_with_the_right_one() {
        for (text, advice) in [
            ("acme.my.salesforce.com", "https://acme.my.salesforce.com"),
            ("acme.lightning.force.com/lightning/page/home", "https://acme.my.salesforce.com"),
            ("acme--dev.sandbox.lightning.force.com", "https://acme--dev.sandbox.my.salesforce.com"),
            (
                "https://acme.my.salesforce.com/lightning/setup/SetupOneHome/home",
                "https://acme.my.salesforce.com",
            ),
            ("https://acme.lightning.force.com/lightning/page/home", "https://acme.my.salesforce.com"),
            ("https://acme.my.salesforce-setup.com/lightning/setup", "https://acme.my.salesforce.com"),
            ("http://acme.my.salesforce.com", "https://acme.my.salesforce.com"),
            ("https://acme.my.salesforce.com/home", "https://acme.my.salesforce.com"),
            ("ftp://acme.my.salesforce.com", "https://acme.my.salesforce.com"),
        ] {
            let said = message(Origin::parse(text));
            assert!(said.contains(&format!("\"{advice}\"")), "{text}: {said}");
        }
    }

    #[test]
    fn a_token_is_only_taken_to_where_an_org_answers() {
        let is_salesforce = |text: &str| Origin::parse(text).is_ok_and(|origin| origin.is_salesforce());
        for text in
            ["https://acme.my.salesforce.com", "https://na15.salesforce.com", "https://a.my.salesforce.mil"]
        {
            assert!(is_salesforce(text), "{text}");
        }
        for text in [
            "https://evil.example",
            "https://salesforce.com.evil.example",
            "https://evilsalesforce.com",
            "https://acme.my.salesforce.com:8443",
            "https://acme.my.site.com",
            "https://acme.force.com",
            "https://login.salesforce.com",
            "http://127.0.0.1:80",
        ] {
            assert!(!is_salesforce(text), "{text}");
        }
    }

    #[test]
    fn an_address_that_hides_its_host_is_refused() {
        for text in [
            "https://acme.my.salesforce.com@evil.example",
            "https://a b",
            "https://",
            "https://a:0",
            "https://a:99999",
            "https://[x]",
        ] {
            assert!(message(Origin::parse(text)).contains("valid host"), "{text}");
        }
    }
}
