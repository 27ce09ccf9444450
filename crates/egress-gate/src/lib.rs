//! What stands between a source and the HTTP of its host.
//!
//! `wasmtime run` and its like let a component with HTTP reach whatever the machine reaches. So the source of a command is not
//! linked to the HTTP of the host, but to this, which is. It looks at the scheme and the authority of each request, and passes it
//! on or refuses it with `HTTP-request-denied`. Bodies do not pass through it.
//!
//! | attack | what stops it |
//! |---|---|
//! | a request to a host nobody meant | the authority must be one that `configure` named, in full, and a rule must cover it, for every request |
//! | a look-alike: `evil-example.com`, `example.com@evil.net` | rules compare whole labels; an authority is a host and a port, nothing else |
//! | a path that a host would put behind the authority, and so make it another: `@evil.net/` | a path begins with a slash, or there is none |
//! | an address in disguise: `0x7f.1`, `2130706433`, `127.1` | such a host is neither a name nor an address here |
//! | the address of a metadata service | link-local, multicast, unspecified and known metadata addresses are refused even where a rule lists them, and what wraps such a one in IPv6 |
//! | reading credentials on the wire | plain `http` reaches loopback only |
//! | opening the gate from within | the source does not import what sets the rules: in the composition only the command does |
//!
//! Not stopped here: a listed name that resolves to an inner address, at once or later (DNS rebinding). The host resolves names,
//! behind the gate. Where whoever controls the DNS of an allowed name is not trusted, confine the process as well.

mod bindings;
mod rule;

use bindings::Gate;
use bindings::exports::pipeline::command::egress::{Guest as Egress, Mistake};
use bindings::exports::wasi::http0_2_0::outgoing_handler::Guest as Handler;
use bindings::wasi::http0_2_0::outgoing_handler;
use bindings::wasi::http0_2_0::types::{
    ErrorCode, FutureIncomingResponse, OutgoingRequest, RequestOptions, Scheme,
};
use rule::{Authority, Rule, is_path};
use std::cell::RefCell;

const HTTP: u16 = 80;
const HTTPS: u16 = 443;

thread_local! {
    static RULES: RefCell<Vec<Rule>> = const { RefCell::new(Vec::new()) };
    static GRANTED: RefCell<Vec<Authority>> = const { RefCell::new(Vec::new()) };
}

impl Egress for Gate {
    fn allow(rules: Vec<String>) -> Result<(), Vec<Mistake>> {
        let mut mistakes = Vec::new();
        let parsed: Vec<Rule> = (0..)
            .zip(&rules)
            .filter_map(|(index, rule)| {
                Rule::parse(rule).map_err(|message| mistakes.push(Mistake { index, message })).ok()
            })
            .collect();
        let is_right = mistakes.is_empty();
        RULES.set(if is_right { parsed } else { Vec::new() });
        if is_right { Ok(()) } else { Err(mistakes) }
    }

    fn grant(authorities: Vec<String>) -> Vec<String> {
        let (mut granted, mut denied) = (Vec::new(), Vec::new());
        for text in authorities {
            match Authority::parse(&text).filter(|asked| is_covered(asked, HTTPS)) {
                Some(authority) => granted.push(authority),
                None => denied.push(text),
            }
        }
        GRANTED.set(granted);
        denied
    }
}

fn is_covered(asked: &Authority, usual: u16) -> bool {
    let port = asked.port.unwrap_or(usual);
    RULES.with_borrow(|rules| rules.iter().any(|rule| rule.covers(&asked.host, port, usual)))
}

impl Handler for Gate {
    fn handle(
        request: OutgoingRequest,
        options: Option<RequestOptions>,
    ) -> Result<FutureIncomingResponse, ErrorCode> {
        let authority = request.authority().and_then(|text| Authority::parse(&text));
        let stays = request.path_with_query().is_none_or(|path| is_path(&path));
        let passes =
            stays && authority.is_some_and(|authority| admits(request.scheme().as_ref(), &authority));
        if passes { outgoing_handler::handle(request, options) } else { Err(ErrorCode::HttpRequestDenied) }
    }
}

/// Whether a request may be sent. Without a scheme, https is meant.
fn admits(scheme: Option<&Scheme>, asked: &Authority) -> bool {
    let usual = match scheme {
        None | Some(Scheme::Https) => HTTPS,
        Some(Scheme::Http) if asked.host.is_loopback() => HTTP,
        Some(_) => return false,
    };
    let is_granted = |granted: &Authority| {
        granted.host == asked.host && granted.port.unwrap_or(usual) == asked.port.unwrap_or(usual)
    };
    !asked.host.is_never_allowed()
        && is_covered(asked, usual)
        && GRANTED.with_borrow(|granted| granted.iter().any(is_granted))
}
