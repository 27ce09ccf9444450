//! Signing in: the flows of OAuth 2.0, and the keys they sign with. The session that comes of it is [`org`](crate::org)'s.

mod encrypted_key;
pub mod flows;
mod key;
