//! The org's allowance of API requests, and the share of it that may be used up.
//!
//! Salesforce counts the requests of all programs that use an org against one allowance for 24 hours, and tells with each
//! answer how much of it is used ("API Usage", REST API guide: `Sforce-Limit-Info: api-usage=10018/100000`). A collector
//! that takes the last of it stops everybody else's integrations too. So once more than `api_quota_share` is used, by
//! whomever, polls send nothing, until a single request later shows that usage has gone down.

use crate::problem::{Kind, Problem};

/// Requests used and allowed in 24 hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Used by all programs together.
    pub used: u32,
    /// Allowed.
    pub maximum: u32,
}

impl Usage {
    /// Reads `api-usage=10018/100000; …`.
    pub fn parse(header: &str) -> Option<Self> {
        let usage = header.split(';').find_map(|part| part.trim().strip_prefix("api-usage="))?;
        let (used, maximum) = usage.split_once('/')?;
        Some(Self { used: used.trim().parse().ok()?, maximum: maximum.trim().parse().ok()? })
    }

    /// Whether one more request would go beyond a share, in thousandths. An allowance of nothing means nothing.
    pub fn is_beyond(self, share: u32) -> bool {
        self.maximum > 0 && u64::from(self.used) * 1000 >= u64::from(self.maximum) * u64::from(share)
    }

    /// The same once so many more requests are made.
    pub fn after(self, requests: u32) -> Self {
        Self { used: self.used.saturating_add(requests), ..self }
    }

    /// That a share, in thousandths, is used up.
    pub fn problem(self, share: u32) -> Problem {
        let Self { used, maximum } = self;
        let message = format!(
            "the org has used {used} of its {maximum} API requests of 24 hours, and api_quota_share lets this source go up to {}",
            written(share)
        );
        Problem::new(Kind::RateLimited, message).hint(
            "nothing to do but wait; if it stays, find out who uses the API (Setup, Company Information), look for new data \
             less often, or raise api_quota_share",
        )
    }
}

/// A share in thousandths as a percentage.
pub fn written(share: u32) -> String {
    match share % 10 {
        0 => format!("{} %", share / 10),
        tenth => format!("{}.{tenth} %", share / 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usage_is_found_among_the_parts_of_the_limit_header() {
        let usage = |used, maximum| Some(Usage { used, maximum });
        assert_eq!(Usage::parse("api-usage=10018/100000"), usage(10_018, 100_000));
        assert_eq!(Usage::parse("api-bursts=1/750; api-usage=1/2"), usage(1, 2));
        assert_eq!(Usage::parse("per-app-api-usage=17/250(appName=x)"), None);
        assert_eq!(Usage::parse("api-usage=x/2"), None);
    }

    #[test]
    fn a_share_is_never_exceeded_by_a_single_request() {
        let at = |used| Usage { used, maximum: 100 }.is_beyond(500);
        assert!(!at(49) && at(50) && at(100));
        assert!(!Usage { used: 5, maximum: 0 }.is_beyond(500));
        assert!(!Usage { used: u32::MAX - 1, maximum: u32::MAX }.is_beyond(1000));
        assert_eq!((written(500), written(335)), (String::from("50 %"), String::from("33.5 %")));
    }
}
