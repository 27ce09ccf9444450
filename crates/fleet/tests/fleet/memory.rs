//! The engine in this process does what every engine has to do.

use std::time::Duration;

use fleet::Memory;
use fleet::conformance::{ROOM, Rig, conforms};

struct InMemory(Memory);

impl Rig for InMemory {
    type Engine = Memory;

    fn engine(&self) -> &Memory {
        &self.0
    }

    async fn wake(&self, tenant: &str) {
        self.0.wake(tenant);
    }

    async fn published(&self, tenant: &str) -> Vec<String> {
        self.0.stored(tenant).events.into_iter().map(|event| event.text).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn the_engine_in_memory_conforms() {
    conforms(&InMemory(Memory::new(Duration::from_secs(2), Duration::from_secs(3600), ROOM))).await;
}
