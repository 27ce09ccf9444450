//! SOQL: the subset that log collectors use, parsed for real.
//!
//! `SELECT fields|FIELDS(STANDARD)|count()|aggregates FROM object [WHERE …] [GROUP BY …] [ORDER BY …] [LIMIT n]`. A statement
//! passes three stages: [`lexer`] (text to tokens with positions), [`parser`] (tokens to a [`syntax::Query`]) and [`eval`]
//! (names and types checked against an [`object::Object`], then rows selected; [`group`] makes aggregates of them). What SOQL
//! allows and this subset does not is refused by name with 501, never answered wrongly.
//!
//! Which objects there are, and where their rows come from, is no concern of it.

pub(crate) mod dates;
pub(crate) mod error;
pub(crate) mod eval;
pub(crate) mod group;
pub(crate) mod lexer;
pub(crate) mod object;
pub(crate) mod parser;
pub(crate) mod syntax;
