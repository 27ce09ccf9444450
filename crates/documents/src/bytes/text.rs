//! Text from outside, as it may stand in a message.

/// Text that came from outside, fit for a message: one line, no control characters, at most `limit` characters.
pub fn quoted(text: &str, limit: usize) -> String {
    let mut out: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(limit).collect::<String>();
    if text.chars().count() > limit {
        out.push('…');
    }
    out.trim().to_owned()
}
