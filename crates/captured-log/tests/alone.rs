//! Alone in its process: where two threads listen, what is tried here holds by itself.

use captured_log::Log;
use std::thread;
use tracing::Level;

fn say() {
    tracing::info!("heard");
}

#[test]
fn what_another_thread_came_to_first_is_heard_all_the_same() {
    let log = Log::default();
    let guard = log.listen(Level::INFO);
    thread::spawn(say).join().expect("said");
    say();
    drop(guard);
    assert_eq!(log.text().matches("heard").count(), 1, "{}", log.text());
}
