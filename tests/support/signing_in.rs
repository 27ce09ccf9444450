//! The ways to sign in to a simulated org, as configurations.

use crate::org::TestOrg;
use anyhow::Result;
use serde_json::{Value, json};

/// The flows that there are.
pub const FLOWS: [&str; 3] = ["jwt-bearer", "client-credentials", "username-password"];

/// What the default settings of a simulated org hold.
pub const CLIENT_SECRET: &str = "simulated.consumer.secret";
/// The same.
pub const PASSWORD: &str = "simulated-password";
/// The same.
pub const SECURITY_TOKEN: &str = "simulatedToken";

/// The configuration that signs in by a flow.
pub fn by_flow(org: &TestOrg, flow: &str) -> Result<Value> {
    let mut source = org.source()?;
    let auth = &source["auth"];
    let (client_id, username) = (auth["client_id"].clone(), auth["username"].clone());
    match flow {
        "client-credentials" => {
            source["auth"] = json!({"flow": flow, "client_id": client_id, "client_secret": CLIENT_SECRET});
        }
        "username-password" => {
            source["auth"] = json!({
                "flow": flow,
                "client_id": client_id,
                "client_secret": CLIENT_SECRET,
                "username": username,
                "password": PASSWORD,
                "security_token": SECURITY_TOKEN,
            });
        }
        _ => {}
    }
    Ok(source)
}
