//! JSON written straight into the text of an event. No tree is built on the way.

/// Writes one JSON object. Objects within that stay empty are left out.
pub struct Writer<'a> {
    out: &'a mut String,
    /// Keys of objects that were begun and have nothing in them yet.
    pending: &'a mut Vec<&'static str>,
}

impl<'a> Writer<'a> {
    /// Begins an object. `pending` is room to work in.
    pub fn new(out: &'a mut String, pending: &'a mut Vec<&'static str>) -> Self {
        pending.clear();
        out.push('{');
        Self { out, pending }
    }

    /// Begins an object within.
    pub fn open(&mut self, key: &'static str) {
        self.pending.push(key);
    }

    /// Ends the object begun last.
    pub fn close(&mut self) {
        if self.pending.pop().is_none() {
            self.out.push('}');
        }
    }

    /// Ends the object as a whole.
    pub fn finish(self) {
        self.out.push('}');
    }

    /// Writes a text.
    pub fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        string(self.out, value);
    }

    /// Writes a value that is JSON already.
    pub fn raw(&mut self, key: &str, value: &str) {
        self.key(key);
        self.out.push_str(value);
    }

    /// Writes members that are JSON already, without the braces around them.
    pub fn members(&mut self, members: &str) {
        self.begin();
        self.out.push_str(members);
    }

    /// Writes a list of texts, unless it is empty.
    pub fn list<'t>(&mut self, key: &str, values: impl IntoIterator<Item = &'t str>) {
        let mut values = values.into_iter();
        let Some(first) = values.next() else { return };
        self.key(key);
        self.out.push('[');
        string(self.out, first);
        for value in values {
            self.out.push(',');
            string(self.out, value);
        }
        self.out.push(']');
    }

    fn key(&mut self, key: &str) {
        self.begin();
        self.push_key(key);
    }

    /// A comma where one is needed, and the objects that turn out not to be empty.
    fn begin(&mut self) {
        if !self.out.ends_with('{') {
            self.out.push(',');
        }
        for index in 0..self.pending.len() {
            self.push_key(self.pending[index]);
            self.out.push('{');
        }
        self.pending.clear();
    }

    /// Keys are made of letters that need no escape.
    fn push_key(&mut self, key: &str) {
        self.out.push('"');
        self.out.push_str(key);
        self.out.push_str("\":");
    }
}

/// Writes a text as a JSON string.
pub fn string(out: &mut String, text: &str) {
    out.push('"');
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.push_str(&text[from..at]);
        from = at + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            _ => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.push_str("\\u00");
                out.push(char::from(HEX[usize::from(byte >> 4)]));
                out.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
    }
    out.push_str(&text[from..]);
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_is_read_back_as_it_was() {
        let all: String = (0..0x300).filter_map(char::from_u32).collect();
        for text in ["", "plain", "a\"b\\c", "\n\r\t\0\u{1f}\u{7f}", "é💥", &all] {
            let mut out = String::new();
            string(&mut out, text);
            assert_eq!(serde_json::from_str::<String>(&out).ok().as_deref(), Some(text));
            assert!(!out.contains('\n'));
        }
    }

    #[test]
    fn objects_without_members_are_left_out() {
        let (mut out, mut pending) = (String::new(), Vec::new());
        let mut json = Writer::new(&mut out, &mut pending);
        json.open("a");
        json.open("b");
        json.close();
        json.text("c", "1");
        json.open("d");
        json.raw("e", "2");
        json.close();
        json.close();
        json.open("f");
        json.open("g");
        json.list("h", ["x", "y"]);
        json.list("i", []);
        json.close();
        json.close();
        json.members("\"j\":true");
        json.finish();
        assert_eq!(out, r#"{"a":{"c":"1","d":{"e":2}},"f":{"g":{"h":["x","y"]}},"j":true}"#);
    }
}
