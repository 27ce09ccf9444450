//! A source that a run keeps: opened again after a crash, configured the same way.

use source_host::{Admission, Options, Runtime};
use source_host_cli::{Configured, Pollable as _, Secret};

#[tokio::test]
async fn a_crashed_source_is_renewed_and_goes_on() {
    let secret = Secret::new("{}".into());
    let component = test_guests::component().unwrap();
    let plugin =
        Runtime::new().unwrap().load_bytes("guest.wasm", component, &Admission::default()).await.unwrap();
    let (mut source, _) = Configured::open(&plugin, Options::new(), secret).await.unwrap();
    assert!(source.poll(Some("t")).await.is_err());
    source.renew().await.unwrap();
    assert_eq!(source.poll(None).await.unwrap().events.len(), 1);
    assert_eq!(source.peak_memory(), 40 * 65_536);
}
