//! What a tenant costs that has its instance open: what the process grows by for each of many.

use anyhow::Result;
use e2e::{canned::CannedOrg, hosted};
use serde::Serialize;
use source_host::{Limits, Source, bytes};
use std::fs;

const TENANTS: u64 = 200;

/// Memory of a tenant, in bytes.
#[derive(Serialize)]
pub struct Tenants {
    opened: u64,
    configured: u64,
    polled: u64,
}

impl Tenants {
    /// Opens, configures and polls some; none where the system does not tell.
    pub fn measure() -> Result<Option<Self>> {
        let Some(before) = memory() else { return Ok(None) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let plugin = hosted::plugin()?;
        let mut sources: Vec<Source> = Vec::new();
        runtime.block_on(async {
            // The first one of all is not counted: what all of them share comes with it.
            let mut first = hosted::open(&plugin, CannedOrg::default(), Limits::default()).await?;
            first.configure(&config()).await?;
            first.poll(None).await?;
            let start = memory().unwrap_or(before);
            for _ in 0..TENANTS {
                sources.push(hosted::open(&plugin, CannedOrg::default(), Limits::default()).await?);
            }
            let opened = each(start);
            for source in &mut sources {
                source.configure(&config()).await?;
            }
            let configured = each(start);
            for source in &mut sources {
                source.poll(None).await?;
            }
            Ok(Some(Self { opened, configured, polled: each(start) }))
        })
    }

    /// The same for people.
    pub fn text(&self) -> String {
        format!(
            "Memory of a tenant with an instance, of {TENANTS} in one process: opened {}, configured {}, after a poll {}.\n",
            bytes(self.opened),
            bytes(self.configured),
            bytes(self.polled)
        )
    }
}

fn config() -> String {
    serde_json::json!({
        "instance_url": "https://acme.my.salesforce.com",
        "auth": {
            "flow": "jwt-bearer",
            "client_id": "3MVG9.acme",
            "username": "collector@acme.com",
            "private_key": include_str!("../../crates/collector/tests/keys/pkcs8.pem"),
        },
        "streams": {"login": {"event_log_file": {}}, "logins": {"object": {"name": "LoginEvent"}}},
    })
    .to_string()
}

fn each(start: u64) -> u64 {
    memory().unwrap_or(start).saturating_sub(start) / TENANTS
}

/// Memory of this process, what several mappings share counted once ("Pss", proc_pid_smaps, Linux manual pages):
/// the data of a component is mapped into each instance, and only what that writes to is its own.
pub fn memory() -> Option<u64> {
    let smaps = fs::read_to_string("/proc/self/smaps_rollup").ok()?;
    let line = smaps.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}
