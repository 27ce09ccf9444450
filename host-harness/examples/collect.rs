//! A host in 25 lines: `collect COMPONENT.wasm CONFIG.json HOST...` prints all events that are ready.

use source_host::{Admission, Egress, Options, Runtime};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let (Some(component), Some(config)) = (args.next(), args.next()) else {
        anyhow::bail!("usage: collect COMPONENT.wasm CONFIG.json HOST...");
    };
    let plugin = Runtime::new()?.load(component, &Admission::default()).await?;
    let egress = Egress::allow(args)?; // nowhere else, whatever the component wants
    let mut source = plugin.open(Options::new().egress(egress)).await?;
    source.configure(&std::fs::read_to_string(config)?).await?;
    let mut state = None; // load the last one here
    loop {
        let batch = source.poll(state.as_deref()).await?;
        batch.events.iter().for_each(|event| println!("{event}"));
        state = Some(batch.state); // and save it here, once the events are safe
        if batch.next_poll_ms > 0 {
            return Ok(());
        }
    }
}
