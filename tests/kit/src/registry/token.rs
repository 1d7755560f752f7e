//! A token service, as the distribution project specifies it: GET with Basic authentication, and POST (OAuth2).

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

use tempfile::TempDir;

use crate::{
    KitError, command,
    oracle::{Tool, require},
};

/// The name under which registries and tokens know each other.
pub(super) const SERVICE: &str = "msb-testkit";
/// The issuer of the tokens.
pub(super) const ISSUER: &str = "msb-testkit tokens";

/// What a token service accepts.
#[derive(Debug, Clone)]
pub struct TokenOptions {
    /// The user and password of the GET flow.
    pub user: (String, String),
    /// The refresh token of the POST flow. The GET flow accepts it as the password of the user `<token>`.
    pub refresh_token: String,
    /// The status of every POST request in place of an answer, such as 404 for a service without that flow.
    pub refuse_post: Option<u16>,
}

/// A running token service. Its tokens are signed with a key of its own (RS256) and expire after five minutes.
#[derive(Debug)]
pub struct TokenServer {
    address: SocketAddr,
    folder: Arc<TempDir>,
    requests: Arc<Mutex<Vec<TokenRequest>>>,
}

/// A request for a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRequest {
    /// `GET` or `POST`.
    pub method: String,
    /// The scopes, joined by blanks.
    pub scope: String,
    /// The status of the response.
    pub status: u16,
}

impl TokenServer {
    /// Starts a service on a loopback port.
    ///
    /// # Errors
    ///
    /// When no port is free or the key cannot be created.
    pub fn start(options: TokenOptions) -> Result<TokenServer, KitError> {
        let folder = tempfile::Builder::new()
            .prefix("msb-tokens-")
            .tempdir()
            .map_err(KitError::io("create a folder in", std::env::temp_dir()))?;
        let arguments = [
            "req",
            "-x509",
            "-days",
            "30",
            "-subj",
            "/CN=tokens",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            "token.key",
            "-out",
            "token.pem",
        ];
        command::run(
            Command::new(require(Tool::Openssl))
                .current_dir(folder.path())
                .args(arguments),
        )?;
        let bind = || KitError::io("bind", "127.0.0.1");
        let listener = TcpListener::bind("127.0.0.1:0").map_err(bind())?;
        let server = TokenServer {
            address: listener.local_addr().map_err(bind())?,
            folder: Arc::new(folder),
            requests: Arc::default(),
        };
        let (folder, requests) = (Arc::clone(&server.folder), Arc::clone(&server.requests));
        thread::spawn(move || {
            while let Ok((socket, _)) = listener.accept() {
                // An error of a connection concerns the client alone.
                if let Ok(Some(request)) = answer(&socket, &options, folder.path()) {
                    let mut seen = requests.lock().unwrap_or_else(PoisonError::into_inner);
                    seen.push(request);
                }
            }
        });
        Ok(server)
    }

    /// Returns the URL that a registry names as its realm.
    #[must_use]
    pub fn realm(&self) -> String {
        format!("http://{}/token", self.address)
    }

    /// Returns `127.0.0.1:PORT`.
    #[must_use]
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Returns the certificate (PEM) that verifies the tokens.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("token.pem")
    }

    /// Returns every answered request.
    pub fn requests(&self) -> Vec<TokenRequest> {
        let seen = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        seen.clone()
    }
}

/// Answers the one request of a connection. `None` if there is none.
fn answer(
    mut socket: &TcpStream,
    options: &TokenOptions,
    folder: &Path,
) -> Result<Option<TokenRequest>, KitError> {
    let failed = || KitError::io("talk to", "a client of the token service");
    let mut reader = BufReader::new(socket);
    let mut line = String::new();
    reader.read_line(&mut line).map_err(failed())?;
    let mut words = line.split(' ');
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Ok(None);
    };
    let (method, target) = (method.to_owned(), target.to_owned());
    let (mut authorization, mut length) = (String::new(), 0);
    loop {
        line.clear();
        reader.read_line(&mut line).map_err(failed())?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "authorization" => value.clone_into(&mut authorization),
            "content-length" => length = value.parse().unwrap_or(0),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).map_err(failed())?;
    let body = String::from_utf8_lossy(&body).into_owned();
    let query = target.split_once('?').map_or("", |(_, query)| query);
    let form = if method == "POST" { &body } else { query };
    let values = |name: &str| {
        let pairs = form.split('&').filter_map(|pair| pair.split_once('='));
        let found = pairs.filter(|(key, _)| *key == name);
        found
            .map(|(_, value)| decoded(value))
            .collect::<Vec<_>>()
            .join(" ")
    };
    let scope = values("scope");
    let basic = |user: &str, password: &str| {
        let pair = encode(&[user, ":", password].concat().into_bytes())?;
        Ok::<_, KitError>(authorization == format!("Basic {pair}"))
    };
    let (user, password) = &options.user;
    let status = match (method.as_str(), options.refuse_post) {
        ("POST", Some(status)) => status,
        ("POST", None) if values("refresh_token") == options.refresh_token => 200,
        ("GET", _) if basic(user, password)? || basic("<token>", &options.refresh_token)? => 200,
        ("GET" | "POST", _) => 401,
        _ => 405,
    };
    let body = match status {
        200 => format!(
            "{{\"token\":\"{0}\",\"access_token\":\"{0}\",\"expires_in\":300}}",
            token(&scope, user, folder)?
        ),
        _ => "{\"errors\":[{\"code\":\"UNAUTHORIZED\"}]}".to_owned(),
    };
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    socket.write_all(head.as_bytes()).map_err(failed())?;
    socket.write_all(body.as_bytes()).map_err(failed())?;
    Ok(Some(TokenRequest {
        method,
        scope,
        status,
    }))
}

/// Returns a JSON Web Token for `scope`.
fn token(scope: &str, user: &str, folder: &Path) -> Result<String, KitError> {
    let pem = std::fs::read_to_string(folder.join("token.pem"))
        .map_err(KitError::io("read", folder.join("token.pem")))?;
    let certificate: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let access: Vec<_> = scope
        .split(' ')
        .filter_map(|part| {
            let (kind, rest) = part.split_once(':')?;
            let (name, actions) = rest.rsplit_once(':')?;
            let actions: Vec<_> = actions.split(',').collect();
            Some(serde_json::json!({"type": kind, "name": name, "actions": actions}))
        })
        .collect();
    let header = serde_json::json!({"typ": "JWT", "alg": "RS256", "x5c": [certificate]});
    let claims = serde_json::json!({
        "iss": ISSUER, "aud": SERVICE, "sub": user, "jti": format!("{now}"),
        "iat": now, "nbf": now - 60, "exp": now + 300, "access": access,
    });
    let part = |value: serde_json::Value| encode(value.to_string().as_bytes()).map(url_safe);
    let signed = format!("{}.{}", part(header)?, part(claims)?);
    let sign = ["dgst", "-sha256", "-sign", "token.key"];
    let signature = openssl(folder, &sign, signed.as_bytes())?;
    Ok(format!("{signed}.{}", url_safe(encode(&signature)?)))
}

/// Encodes bytes in base64.
fn encode(bytes: &[u8]) -> Result<String, KitError> {
    let text = openssl(Path::new("/"), &["base64", "-A"], bytes)?;
    Ok(String::from_utf8_lossy(&text).trim().to_owned())
}

fn url_safe(base64: String) -> String {
    let text = base64.replace('+', "-").replace('/', "_");
    text.trim_end_matches('=').to_owned()
}

fn openssl(folder: &Path, arguments: &[&str], input: &[u8]) -> Result<Vec<u8>, KitError> {
    let program = require(Tool::Openssl);
    let failed = |source| KitError::Spawn {
        program: program.display().to_string(),
        source,
    };
    let mut child = Command::new(&program)
        .current_dir(folder)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input).map_err(failed)?;
    }
    Ok(child.wait_with_output().map_err(failed)?.stdout)
}

/// Decodes a value of a form.
fn decoded(value: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits: String = rest.by_ref().take(2).map(char::from).collect();
                bytes.extend(u8::from_str_radix(&digits, 16));
            }
            byte => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
