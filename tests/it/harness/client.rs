//! A plain HTTP client: one connection for each call, no redirects followed, no status an error.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, PoisonError};

use embargod::wire;
use ureq::http;

/// What calls a server.
#[derive(Clone)]
pub struct Client {
    agent: ureq::Agent,
    base_url: String,
    lines: Arc<Mutex<Vec<u8>>>,
}

/// What the server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    /// Names in lower case, sorted.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Client {
    pub fn new(base_url: &str) -> Self {
        Self::with_patience(base_url, None)
    }

    /// A client that gives a call up after a while, where a server may be paused.
    pub fn with_patience(base_url: &str, patience: Option<std::time::Duration>) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(patience)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_connections(0)
            .proxy(None)
            .build();
        Self { agent: config.new_agent(), base_url: base_url.to_owned(), lines: Arc::default() }
    }

    /// The first line of every request that this client and its clones sent: what proxies keep in their logs.
    pub fn request_lines(&self) -> Vec<u8> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep_line(&self, method: &str, target: &[u8]) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.extend([method.as_bytes(), b" ", target, b" HTTP/1.1\n"].concat());
    }

    /// Asks for a target that need not be a valid one, and waits for the answer.
    pub async fn get_raw(&self, target: &[u8]) -> Vec<u8> {
        self.keep_line("GET", target);
        let address = self.base_url.trim_start_matches("http://").to_owned();
        let head = format!(" HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        let request = [b"GET ", target, head.as_bytes()].concat();
        let ask = move || {
            let mut stream = TcpStream::connect(address)?;
            stream.write_all(&request)?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).map(|_| answer)
        };
        // A server may hang up on what is no request.
        tokio::task::spawn_blocking(ask).await.unwrap().unwrap_or_default()
    }

    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Calls `path` and waits for the whole answer.
    pub async fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> Response {
        self.try_call(method, path, headers, body).await.unwrap()
    }

    /// The same with a server that may be gone.
    pub async fn try_call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> Result<Response, ureq::Error> {
        self.keep_line(method, path.as_bytes());
        let mut request = http::Request::builder().method(method).uri(format!("{}{path}", self.base_url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let agent = self.agent.clone();
        let request = move || match body {
            Some(body) => agent.run(request.body(body).unwrap()),
            None => agent.run(request.body(()).unwrap()),
        };
        let read = move || {
            let mut response = request()?;
            let mut headers: Vec<_> = response
                .headers()
                .iter()
                .map(|(name, value)| {
                    (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
                })
                .collect();
            headers.sort();
            Ok(Response {
                status: response.status().as_u16(),
                headers,
                body: response.body_mut().with_config().limit(64 << 20).read_to_vec()?,
            })
        };
        tokio::task::spawn_blocking(read).await.unwrap()
    }

    pub async fn get(&self, path: &str) -> Response {
        self.call("GET", path, &[], None).await
    }

    pub async fn get_as(&self, token: &str, path: &str) -> Response {
        self.call("GET", path, &[("authorization", &format!("Bearer {token}"))], None).await
    }

    /// A call with a JSON body and a token.
    pub async fn put_json(&self, token: &str, path: &str, body: &impl serde::Serialize) -> Response {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        self.call("PUT", path, &headers, Some(serde_json::to_vec(body).unwrap())).await
    }

    /// A call with a signed command.
    pub async fn command(&self, method: &str, path: &str, message: Vec<u8>) -> Response {
        self.call(method, path, &[("content-type", wire::OPENPGP)], Some(message)).await
    }
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json<T: serde::de::DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.text()))
    }

    /// The last word of the problem's type, such as `receipt-code`.
    pub fn problem(&self) -> String {
        let problem: wire::Problem = self.json();
        assert_eq!(problem.status, self.status);
        problem.kind.rsplit(':').next().unwrap_or_default().to_owned()
    }

    /// Everything but the moment it was sent, to compare two answers. Whether the connection is kept depends on
    /// how much of an unread body had arrived by then.
    pub fn without_date(mut self) -> Self {
        self.headers.retain(|(name, _)| name != "date" && name != "connection");
        self
    }

    /// Head and body as one text, to be searched.
    pub fn everything(&self) -> Vec<u8> {
        let mut all: Vec<u8> =
            self.headers.iter().flat_map(|(name, value)| format!("{name}: {value}\n").into_bytes()).collect();
        all.extend_from_slice(&self.body);
        all
    }
}
