//! What is wrong with a configuration, and where.

use std::fmt;

/// One mistake in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The line that it stands in, or that the table begins in where something is missing.
    pub line: Option<usize>,
    /// Dotted keys; empty where the file as a whole is meant.
    pub path: String,
    /// What is wrong and what is expected. Never the value of a secret.
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if self.path.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.path, self.message)
        }
    }
}
