//! What is wrong with settings, and secrets among them.

use std::fmt;

use zeroize::Zeroizing;

/// A text that is never shown: a password, a token, a header.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Keeps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

/// One thing that is wrong with settings.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SettingProblem {
    /// The field.
    pub setting: &'static str,
    /// What is wrong, and what to write instead.
    pub message: String,
}

/// Everything that is wrong with settings, at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsError {
    problems: Vec<SettingProblem>,
}

impl SettingsError {
    /// What is wrong, field by field; never empty.
    pub fn problems(&self) -> &[SettingProblem] {
        &self.problems
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{}: {}", problem.setting, problem.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for SettingsError {}

/// Collects what is wrong.
#[derive(Default)]
pub(crate) struct Problems(Vec<SettingProblem>);

impl Problems {
    pub fn add(&mut self, setting: &'static str, message: impl Into<String>) {
        self.0.push(SettingProblem { setting, message: message.into() });
    }

    pub fn unless(&mut self, fine: bool, setting: &'static str, message: impl Into<String>) {
        if !fine {
            self.add(setting, message);
        }
    }

    /// Keeps the value, or the problem.
    pub fn take<T>(&mut self, setting: &'static str, result: Result<T, String>) -> Option<T> {
        result.map_err(|message| self.add(setting, message)).ok()
    }

    /// What was made of the settings, if nothing is wrong with them. Whoever made nothing told a problem.
    pub fn done<T>(self, made: Option<T>) -> Result<T, SettingsError> {
        match made {
            Some(made) if self.0.is_empty() => Ok(made),
            _ => Err(SettingsError { problems: self.0 }),
        }
    }
}
