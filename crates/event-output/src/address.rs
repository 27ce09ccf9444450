//! Addresses of receivers: which do, what may be shown of them, and which stay on this machine.

use reqwest::Url;

/// Reads an address. Not shown when it is wrong: it may hold a token or a password.
pub(crate) fn parse(address: &str, schemes: [&str; 2]) -> Result<Url, String> {
    let url = Url::parse(address).map_err(|error| format!("is not an address: {error}"))?;
    if !schemes.contains(&url.scheme()) || url.host_str().is_none() {
        let [first, second] = schemes;
        return Err(format!("must begin with {first}:// or {second}:// and name a host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must hold no user and no password: there are settings for these".into());
    }
    Ok(url)
}

/// Scheme, host and port: all that is shown of an address.
pub(crate) fn origin(url: &Url) -> String {
    let port = url.port().map_or(String::new(), |port| format!(":{port}"));
    format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
}

/// The same of a text that nobody has checked yet.
pub(crate) fn shown(address: &str) -> String {
    Url::parse(address).map_or("***".into(), |url| origin(&url))
}

/// Whether what is sent there stays on this machine.
pub(crate) fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_address_nothing_is_shown_but_scheme_host_and_port() {
        for (address, seen) in [
            ("https://user:tok3n@logs.example.com/tok3n?key=tok3n#tok3n", "https://logs.example.com"),
            ("nats://user:tok3n@nats.example.com:4222", "nats://nats.example.com:4222"),
            ("http://[::1]:9200/tok3n", "http://[::1]:9200"),
            ("tok3n", "***"),
        ] {
            assert_eq!(shown(address), seen);
        }
    }
}
