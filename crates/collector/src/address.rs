//! Addresses of an org, checked once: what holds an [`Origin`] need not check again.
//!
//! Salesforce serves one org under many hosts ("My Domain URL Formats" and "Partitioned Domains", Salesforce Help), and
//! people copy the one that their browser shows. One of them answers the API: `DOMAIN.my.salesforce.com`.

use crate::{schema::Flaw, secret::is_blank};
use documents::quoted;
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

/// The audience of assertions for the users of production orgs ("OAuth 2.0 JWT Bearer Flow", Salesforce Help).
pub const PRODUCTION: &str = "https://login.salesforce.com";
/// The audience of assertions for the users of sandboxes and scratch orgs.
pub const SANDBOX: &str = "https://test.salesforce.com";

impl Origin {
    /// Reads the URL of an org: `https://acme.my.salesforce.com`. Spaces around it and slashes behind it are forgiven.
    pub fn parse(text: &str) -> Result<Self, Flaw> {
        Url::split(text)?.origin()?.without_path()
    }

    /// The same, and refuses hosts that are known to serve something else than the API.
    pub fn parse_instance(text: &str) -> Result<Self, Flaw> {
        let url = Url::split(text)?;
        url.refuse_page(PAGES.iter().chain(SITES))?;
        url.origin()?.without_path()
    }

    /// Reads the URL of a token endpoint, given in full or as its host alone. A site has one for its users.
    pub fn parse_token_url(text: &str) -> Result<Self, Flaw> {
        let url = Url::split(text)?;
        url.refuse_page(PAGES.iter())?;
        let Located { origin, path } = url.origin()?;
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

/// Hosts that serve something else than the API: how they end, whether a package's name stands before that, what they are for,
/// and how the host ends that answers the API in their place.
struct Page {
    ending: &'static str,
    packaged: bool,
    purpose: &'static str,
    api: &'static str,
}

const fn page(ending: &'static str, packaged: bool, purpose: &'static str, api: &'static str) -> Page {
    Page { ending, packaged, purpose, api }
}

const API: &str = ".my.salesforce.com";

const PAGES: &[Page] = &[
    page(".lightning.force.com", false, "the user interface", API),
    page(".lightning.crmforce.mil", false, "the user interface", ".my.salesforce.mil"),
    page(".lightning.sfcrmapps.cn", false, "the user interface", ".my.sfcrmproducts.cn"),
    page(".my.salesforce-setup.com", false, "Setup", API),
    page(".file.force.com", false, "file downloads", API),
    page(".vf.force.com", true, "Visualforce pages", API),
    page(".visualforce.com", true, "Visualforce pages", API),
    page(".visual.force.com", true, "Visualforce pages", API),
    page(".documentforce.com", true, "file downloads", API),
    page(".content.force.com", true, "file downloads", API),
    page(".container.force.com", true, "Lightning components", API),
    page(".container.lightning.com", true, "Lightning components", API),
    page(".my.force-user-content.com", true, "user content", API),
    page(".my.salesforce-scrt.com", false, "messaging", API),
    page(".builder.salesforce-experience.com", false, "Experience Builder", API),
    page(".preview.salesforce-experience.com", false, "Experience Builder", API),
    page(".live-preview.salesforce-experience.com", false, "Experience Builder", API),
    page(".cdn.salesforce-experience.com", false, "public content", API),
];

/// The hosts of sites, which have users and a token endpoint of their own ("OAuth Endpoints", Salesforce Help).
const SITES: &[Page] = &[
    page(".my.site.com", false, "an Experience Cloud site", API),
    page(".my.salesforce-sites.com", false, "a Salesforce site", API),
];

/// Domains of Salesforce where nothing answers the API, and from where nothing leads to the host that does.
const ELSEWHERE: [&str; 9] = [
    ".force.com",
    ".site.com",
    ".salesforce-sites.com",
    ".salesforce-experience.com",
    ".salesforce-scrt.com",
    ".force-user-content.com",
    ".visualforce.com",
    ".documentforce.com",
    ".sfdcopens.com",
];

impl Page {
    /// The host that answers the API for the org of this one, if this is such a page. The inner is none where the org cannot be
    /// told: a host that names an instance (`acme--c.na15.visual.force.com`) is older than today's addresses.
    fn api_host(&self, host: &str) -> Option<Option<String>> {
        let domain = host.strip_suffix(self.ending)?;
        let (name, partition) =
            domain.split_once('.').map_or((domain, ""), |(name, partition)| (name, partition));
        let name = if self.packaged { name.rsplit_once("--").map_or("", |(name, _)| name) } else { name };
        let is_plain = partition.bytes().all(|byte| byte.is_ascii_lowercase());
        let dot = if partition.is_empty() { "" } else { "." };
        Some((!name.is_empty() && is_plain).then(|| format!("{name}{dot}{partition}{}", self.api)))
    }
}

impl Origin {
    /// Whether it is where an org of Salesforce may answer its API, and nobody else.
    pub fn is_salesforce(&self) -> bool {
        self.secure && ORGS.iter().any(|domain| self.authority.ends_with(domain)) && !self.is_login_host()
    }

    /// Whether it is one of the two hosts where the users of all orgs sign in.
    pub fn is_login_host(&self) -> bool {
        matches!(self.authority.as_str(), "login.salesforce.com" | "test.salesforce.com")
    }

    /// The audience of assertions that are sent here, where the address says it beyond doubt. Sources: forcedotcom/cli 3325 and
    /// aiosalesforce 3 (sandboxes), MetaCI 1517 (scratch orgs), `isSandboxUrl` of the Salesforce CLI (`cs42`). What orgs of
    /// Developer Edition and Trailhead want is told both ways (restforce 674), so nothing is said of them.
    pub fn audience(&self) -> Option<&'static str> {
        let host = self.host();
        if host == "login.salesforce.com" {
            return Some(PRODUCTION);
        }
        let is_sandbox_instance = || {
            let domain = host.strip_suffix(".salesforce.com").unwrap_or_default();
            let instance = match domain.strip_suffix(".my") {
                Some(domain) => domain.split_once('.').map_or("", |(_, instance)| instance),
                None => domain,
            };
            let number = instance.strip_prefix("cs").unwrap_or_default();
            !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
        };
        let is_sandbox = host == "test.salesforce.com"
            || host.ends_with(".sandbox.my.salesforce.com")
            || host.ends_with(".scratch.my.salesforce.com")
            || is_sandbox_instance();
        is_sandbox.then_some(SANDBOX)
    }

    /// Whether it looks like the address that a sandbox had before there were `.sandbox.` ones: `acme--uat.my.salesforce.com`.
    pub fn may_be_sandbox(&self) -> bool {
        self.host().strip_suffix(API).is_some_and(|name| name.contains("--") && !name.contains('.'))
    }

    /// Why nothing may answer here, or somebody else than Salesforce, where that can only be guessed.
    pub fn doubt(&self) -> Option<Flaw> {
        let host = self.host();
        if is_loopback(host) {
            return None;
        }
        let api =
            "use the org's My Domain address, https://DOMAIN.my.salesforce.com; Setup, My Domain shows it";
        if let Some(site) = SITES.iter().find(|site| host.ends_with(site.ending)) {
            let message = format!("is the address of {}, which knows its own users alone", site.purpose);
            return Some(Flaw::with_hint(message, api));
        }
        if ELSEWHERE.iter().any(|domain| host.ends_with(domain)) {
            return Some(Flaw::with_hint("is a host of Salesforce that does not answer the API", api));
        }
        if let Some(name) = host.strip_suffix(".salesforce.com").filter(|_| !self.is_login_host()) {
            // Instances have numbers: na15.salesforce.com.
            let is_incomplete = !name.contains('.') && !name.bytes().any(|byte| byte.is_ascii_digit());
            let hint = format!("did you mean \"https://{name}{API}\"?");
            return is_incomplete.then(|| Flaw::with_hint("is no address of an org that is known", hint));
        }
        let is_known = ORGS.iter().any(|domain| host.ends_with(domain));
        (!is_known).then(|| {
            let hint = "right for a proxy or a domain of your own; secrets and tokens are sent there";
            Flaw::with_hint("is no address of Salesforce that is known", hint)
        })
    }

    fn host(&self) -> &str {
        split_port(&self.authority).0
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}", if self.secure { "https" } else { "http" }, self.authority)
    }
}

/// The parts of a URL. What stands in its query is no part: people paste addresses with a session in them.
struct Url {
    scheme: String,
    authority: String,
    path: String,
}

/// An origin and a path at it, which has no slash at its end.
struct Located {
    origin: Origin,
    path: String,
}

impl Located {
    fn without_path(self) -> Result<Origin, Flaw> {
        let Self { origin, path } = self;
        if path.is_empty() {
            return Ok(origin);
        }
        let hint = format!("use \"{origin}\"");
        Err(Flaw::with_hint(format!("must be a host without a path, not '{path}'"), hint))
    }
}

impl Url {
    fn split(text: &str) -> Result<Self, Flaw> {
        let text = text.trim_matches(is_blank);
        if text.is_empty() {
            return Err(Flaw::new("is empty"));
        }
        if text.contains('@') {
            // A password can have any character in it, so that nothing of this is fit to be shown.
            return Err(Flaw::with_hint(
                "has no valid host, but a user name or password in it",
                "use \"https://DOMAIN.my.salesforce.com\"",
            ));
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            let host = text.split(['/', '?', '#']).next().unwrap_or_default();
            let with_scheme = format!("https://{host}");
            // It may have more wrong with it; the advice is good for all of it.
            let advice = Origin::parse_instance(&with_scheme).err().and_then(|flaw| flaw.hint);
            return Err(Flaw::with_hint(
                "has no scheme",
                advice.unwrap_or(format!("use \"{}\"", quoted(&with_scheme, 260))),
            ));
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let mut authority = authority.to_ascii_lowercase();
        let (host, port) = split_port(&authority);
        if !is_host(host) || port.is_some_and(|port| port.parse::<u16>().map_or(true, |port| port == 0)) {
            return Err(Flaw::with_hint(
                format!("has no valid host: '{}'", quoted(&authority, 80)),
                "use \"https://DOMAIN.my.salesforce.com\"",
            ));
        }
        let scheme = scheme.to_ascii_lowercase();
        if scheme == "https" && port == Some("443") {
            authority.truncate(host.len());
        }
        let shown = path.split(['?', '#']).next().unwrap_or_default();
        let query = if shown.len() < path.len() { "?…" } else { "" };
        let path = format!("{}{query}", quoted(shown.trim_end_matches('/'), 80));
        Ok(Self { scheme, authority, path })
    }

    fn origin(self) -> Result<Located, Flaw> {
        let Self { scheme, authority, path } = self;
        let secure = match scheme.as_str() {
            "https" => true,
            "http" if is_loopback(split_port(&authority).0) => false,
            "http" => {
                return Err(Flaw::with_hint("is not encrypted", format!("use \"https://{authority}\"")));
            }
            _ => {
                return Err(Flaw::with_hint("has an unknown scheme", format!("use \"https://{authority}\"")));
            }
        };
        Ok(Located { origin: Origin { secure, authority }, path })
    }

    /// Refuses a page of these, if the right address can be told.
    fn refuse_page<'p>(&self, mut pages: impl Iterator<Item = &'p Page>) -> Result<(), Flaw> {
        let host = split_port(&self.authority).0;
        let found = pages.find_map(|page| Some((page, page.api_host(host)??)));
        found.map_or(Ok(()), |(page, api)| {
            let message = format!("is the address of {}, which does not answer the API", page.purpose);
            Err(Flaw::with_hint(message, format!("use \"https://{api}\"")))
        })
    }
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

/// Writes a text as it travels in a query or a form (`application/x-www-form-urlencoded`).
pub fn form_encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => {
                const HEX: &[u8; 16] = b"0123456789ABCDEF";
                out.push('%');
                out.push(char::from(HEX[usize::from(byte >> 4)]));
                out.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
    }
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
            let said = message(Origin::parse_instance(text));
            assert!(said.contains(&format!("\"{advice}\"")), "{text}: {said}");
        }
    }

    #[test]
    fn a_host_of_salesforce_that_does_not_answer_the_api_is_refused_with_the_one_that_does() {
        for (host, right) in [
            ("acme.my.site.com", "acme.my.salesforce.com"),
            ("acme--uat.sandbox.my.site.com", "acme--uat.sandbox.my.salesforce.com"),
            ("acme.my.salesforce-sites.com", "acme.my.salesforce.com"),
            ("acme.file.force.com", "acme.my.salesforce.com"),
            ("acme--uat.sandbox.file.force.com", "acme--uat.sandbox.my.salesforce.com"),
            ("acme--c.vf.force.com", "acme.my.salesforce.com"),
            ("acme--uat--c.sandbox.vf.force.com", "acme--uat.sandbox.my.salesforce.com"),
            ("acme-dev-ed--c.develop.vf.force.com", "acme-dev-ed.develop.my.salesforce.com"),
            ("acme--c.visualforce.com", "acme.my.salesforce.com"),
            ("acme--c.documentforce.com", "acme.my.salesforce.com"),
            ("acme--c.content.force.com", "acme.my.salesforce.com"),
            ("acme--c.scratch.container.force.com", "acme.scratch.my.salesforce.com"),
            ("acme.my.salesforce-scrt.com", "acme.my.salesforce.com"),
            ("acme.builder.salesforce-experience.com", "acme.my.salesforce.com"),
            ("acme.live-preview.salesforce-experience.com", "acme.my.salesforce.com"),
            ("acme.lightning.crmforce.mil", "acme.my.salesforce.mil"),
            ("acme--uat.sandbox.lightning.sfcrmapps.cn", "acme--uat.sandbox.my.sfcrmproducts.cn"),
        ] {
            for text in [format!("https://{host}"), host.to_owned(), format!("http://{host}:443/s/login")] {
                let said = message(Origin::parse_instance(&text));
                assert!(said.ends_with(&format!("(use \"https://{right}\")")), "{text}: {said}");
            }
            assert!(Origin::parse_instance(&format!("https://{right}")).is_ok(), "{right}");
        }
    }

    #[test]
    fn where_the_right_address_cannot_be_told_there_is_a_doubt_and_no_refusal() {
        for (host, said) in [
            ("acme.force.com", "does not answer the API"),
            ("acme.secure.force.com", "does not answer the API"),
            ("acme--c.na15.visual.force.com", "does not answer the API"),
            ("c.na15.content.force.com", "does not answer the API"),
            ("acme.site.com", "does not answer the API"),
            ("acme.salesforce.com", "https://acme.my.salesforce.com"),
            ("www.salesforce.com", "no address of an org"),
            ("salesforce.proxy.acme.com", "is no address of Salesforce"),
            ("evilsalesforce.com", "is no address of Salesforce"),
            ("10.0.0.7", "is no address of Salesforce"),
        ] {
            let origin = Origin::parse_instance(&format!("https://{host}")).ok().expect(host);
            let doubt = origin.doubt().expect(host);
            let doubt = format!("{} {}", doubt.message, doubt.hint.unwrap_or_default());
            assert!(doubt.contains(said), "{host}: {doubt}");
        }
        for text in [
            "https://acme.my.salesforce.com",
            "https://acme--uat.sandbox.my.salesforce.com:443",
            "https://na15.salesforce.com",
            "https://acme.my.salesforce.mil",
            "https://acme.my.sfcrmproducts.cn",
            "https://login.salesforce.com",
            "http://127.0.0.1:8080",
            "http://localhost:8080",
        ] {
            let origin = Origin::parse(text).ok().expect(text);
            assert!(origin.doubt().is_none(), "{text}");
        }
        let site = Origin::parse_token_url("https://acme.my.site.com").ok().expect("a token endpoint");
        assert!(site.doubt().is_some_and(|doubt| doubt.message.contains("its own users")));
    }

    #[test]
    fn an_address_says_whose_users_sign_in_there_where_it_is_beyond_doubt() {
        for (host, audience) in [
            ("acme--uat.sandbox.my.salesforce.com", Some(SANDBOX)),
            ("ACME--UAT.SANDBOX.my.salesforce.com:443", Some(SANDBOX)),
            ("acme.scratch.my.salesforce.com", Some(SANDBOX)),
            ("test.salesforce.com", Some(SANDBOX)),
            ("cs42.salesforce.com", Some(SANDBOX)),
            ("acme--uat.cs42.my.salesforce.com", Some(SANDBOX)),
            ("login.salesforce.com", Some(PRODUCTION)),
            ("acme.my.salesforce.com", None),
            ("sandbox.my.salesforce.com", None),
            ("cs.my.salesforce.com", None),
            ("cs42.my.salesforce.com", None),
            ("acme-dev-ed.develop.my.salesforce.com", None),
            ("acme-dev-ed.trailblaze.my.salesforce.com", None),
            ("na15.salesforce.com", None),
            ("acme--uat.sandbox.my.salesforce.com.evil.example", None),
            ("acme--uat.my.salesforce.com", None),
        ] {
            let origin = Origin::parse(&format!("https://{host}")).ok().expect(host);
            assert_eq!(origin.audience(), audience, "{host}");
            assert_eq!(origin.may_be_sandbox(), host == "acme--uat.my.salesforce.com", "{host}");
        }
    }

    #[test]
    fn nothing_is_quoted_of_an_address_that_may_be_a_secret() {
        for text in [
            "https://acme.my.salesforce.com/secur/frontdoor.jsp?sid=c4n4ry",
            "acme.my.salesforce.com/secur/frontdoor.jsp?sid=c4n4ry",
            "http://acme.my.salesforce.com?sid=c4n4ry",
            "https://acme.my.salesforce.com#access_token=c4n4ry",
            "https://user:c4n4ry@acme.my.salesforce.com",
            "https://user:c4n4ry/x@acme.my.salesforce.com",
            "user:c4n4ry@acme.my.salesforce.com",
            "ftp://acme.my.salesforce.com/?c4n4ry",
        ] {
            for result in [Origin::parse(text), Origin::parse_instance(text), Origin::parse_token_url(text)] {
                let said = message(result);
                assert!(!said.contains("c4n4ry"), "{text}: {said}");
            }
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
