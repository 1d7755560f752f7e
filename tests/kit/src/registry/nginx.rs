//! nginx as a caching mirror of a registry.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Instant,
};

use tempfile::TempDir;

use super::START_LIMIT;
use crate::{
    KitError,
    oracle::{Tool, require},
};

/// A running nginx that caches what a registry serves. Stopped and removed when dropped.
#[derive(Debug)]
pub struct NginxMirror {
    child: Child,
    port: u16,
    folder: TempDir,
}

impl NginxMirror {
    /// Starts a mirror of the registry at `origin`, such as `http://127.0.0.1:5000`, and waits until it listens.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub fn start(origin: &str) -> Result<NginxMirror, KitError> {
        let folder = tempfile::Builder::new()
            .prefix("msb-nginx-")
            .tempdir()
            .map_err(KitError::io("create a folder in", std::env::temp_dir()))?;
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .map_err(KitError::io("find a free port for", folder.path()))?
            .port();
        let config = folder.path().join("nginx.conf");
        fs::write(&config, configuration(folder.path(), port, origin))
            .map_err(KitError::io("write", &config))?;
        let program = require(Tool::Nginx);
        let child = Command::new(&program)
            .arg("-p")
            .arg(folder.path())
            .arg("-c")
            .arg(&config)
            .args(["-e", "error.log"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|source| KitError::Spawn {
                program: program.display().to_string(),
                source,
            })?;
        let mut mirror = NginxMirror {
            child,
            port,
            folder,
        };
        mirror.wait()?;
        Ok(mirror)
    }

    /// Returns `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.host())
    }

    /// Returns `127.0.0.1:PORT`.
    #[must_use]
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Returns a line for each finished request: path, status, `HIT` or `MISS`, and the range that was asked for or `-`.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        let log = fs::read_to_string(self.folder.path().join("access.log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    fn wait(&mut self) -> Result<(), KitError> {
        let begun = Instant::now();
        while TcpStream::connect(self.host()).is_err() {
            let ended = self.child.try_wait().is_ok_and(|status| status.is_some());
            if ended || begun.elapsed() > START_LIMIT {
                let log = fs::read_to_string(self.folder.path().join("error.log"));
                return Err(KitError::Registry {
                    reason: log.unwrap_or_default(),
                });
            }
            thread::sleep(std::time::Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for NginxMirror {
    fn drop(&mut self) {
        // SIGTERM, so that the master process ends its workers.
        if let Some(pid) = i32::try_from(self.child.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw)
        {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _ = self.child.wait();
    }
}

fn configuration(folder: &Path, port: u16, origin: &str) -> String {
    let folder = folder.display();
    // A worker of root would otherwise be a user who cannot read the folder.
    let user = if rustix::process::geteuid().is_root() {
        "user root;"
    } else {
        ""
    };
    format!(
        "daemon off; {user} pid {folder}/pid; worker_processes 1;
events {{}}
http {{
  log_format kit '$uri $status $upstream_cache_status $http_range';
  access_log {folder}/access.log kit;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  proxy_cache_path {folder}/cache keys_zone=kit:1m max_size=1g;
  server {{
    listen 127.0.0.1:{port};
    location /v2/ {{
      proxy_pass {origin};
      proxy_http_version 1.1;
      proxy_cache kit;
      proxy_cache_key $uri;
      proxy_cache_valid 200 1h;
    }}
  }}
}}
"
    )
}
