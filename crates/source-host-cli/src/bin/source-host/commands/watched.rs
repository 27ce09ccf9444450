//! Metrics, health and the audit trail of a run.

use std::path::Path;
use std::sync::Arc;

use source_host::{Observer, Plugin};
use source_host_cli::watch::{
    Audit, Health, Metrics, Observers, Server, ServerLimits, TenantMetrics, Thresholds,
};
use tokio_util::sync::CancellationToken;

use super::exit::Exit;
use crate::arguments::WatchArgs;

/// What is told of one source.
pub(crate) struct Watched {
    tenant: String,
    all: Metrics,
    pub(crate) metrics: Arc<TenantMetrics>,
    health: Health,
    audit: Option<Audit>,
}

impl Watched {
    /// Opens the trail and the address at once, so that what is wrong with them is known before anything is collected.
    pub(crate) async fn start(args: &WatchArgs, tenant: &str) -> Result<Self, Exit> {
        let all = Metrics::new(true);
        let audit = args.audit.as_deref().map(|path| trail(path, &all)).transpose()?;
        let health = Health::new(all.clone(), Thresholds::default());
        health.folder_read([tenant.to_owned()]);
        if let Some(address) = args.metrics {
            let limits = ServerLimits::default();
            let server = Server::bind(address, all.clone(), health.clone(), limits).await;
            let server = server.map_err(Exit::mistake)?;
            tracing::info!(address = %server.address(), "metrics and health are told");
            tokio::spawn(server.run(CancellationToken::new()));
        }
        let metrics = all.tenant(tenant, "");
        Ok(Self { tenant: tenant.to_owned(), all, metrics, health, audit })
    }

    /// Who is told of the requests and calls of this component.
    pub(crate) fn observer(&self, plugin: &Plugin) -> Arc<dyn Observer> {
        let mut observers = vec![Arc::clone(&self.metrics) as Arc<dyn Observer>];
        if let Some(audit) = &self.audit {
            observers.push(audit.tenant(&self.tenant, &plugin.digest().to_string()));
        }
        Arc::new(Observers::new(observers))
    }

    /// It is open, and is this source.
    pub(crate) fn opened(&self, source: &str) {
        self.all.tenant(&self.tenant, source);
        self.metrics.instance_open(true);
        self.metrics.running(true);
        self.health.settled(&self.tenant);
    }

    /// The trail may have another file by now.
    pub(crate) fn reopener(&self) -> impl Fn() + Send + 'static {
        let audit = self.audit.clone();
        move || audit.iter().for_each(Audit::reopen)
    }

    /// All that was told is written.
    pub(crate) fn end(&self) {
        self.health.draining();
        self.audit.iter().for_each(Audit::flush);
    }
}

fn trail(path: &Path, metrics: &Metrics) -> Result<Audit, Exit> {
    let audit = Audit::to_file(path).map_err(|error| {
        Exit::mistake(format!("cannot write the audit trail {}: {error}", path.display()))
    })?;
    metrics.watch_audit(&audit);
    Ok(audit)
}
