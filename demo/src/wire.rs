//! One connection to one instance, kept open between requests as a browser's is.
//!
//! It tells apart what the history has to: a request that was certainly not sent, and one whose answer did not come.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long one request may take. Longer than anything that the service waits for itself.
const ANSWER_BOUND: Duration = Duration::from_secs(90);
/// How long a connection may take.
const CONNECT_BOUND: Duration = Duration::from_secs(5);
/// Lines of an answer's head.
const HEAD_LINES_MAX: usize = 64;
/// Bytes of an answer's body.
const BODY_BYTES_MAX: usize = 4 << 20;

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum By<'a> {
    /// Nobody in particular.
    Nobody,
    /// Who got this cookie.
    Cookie(&'a str),
    /// Who got this token.
    Bearer(&'a str),
}

/// A request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) by: By<'a>,
    /// JSON. Blank: none.
    pub(crate) body: &'a str,
}

/// An answer, whatever its status.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The value of `set-cookie`, up to its first semicolon.
    pub(crate) cookie: Option<String>,
    pub(crate) body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Unanswered {
    /// Nothing was sent.
    NotSent,
    /// It may have been sent, and the connection is gone.
    Broken,
    /// It was sent, and may be answered yet.
    Late,
}

/// One connection, made when it is needed.
#[derive(Debug)]
pub(crate) struct Wire {
    address: SocketAddr,
    stream: Option<BufReader<TcpStream>>,
}

impl Wire {
    /// To an instance that need not be there yet.
    pub(crate) fn to(address: SocketAddr) -> Self {
        Self { address, stream: None }
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn ask(&mut self, request: Request<'_>) -> Result<Answer, Unanswered> {
        let mut stream = match self.stream.take().filter(is_open) {
            Some(stream) => stream,
            None => connect(self.address).await.ok_or(Unanswered::NotSent)?,
        };
        let text = written(&request);
        match timeout(ANSWER_BOUND, exchange(&mut stream, &text)).await {
            Ok(Some(answer)) => {
                self.stream = Some(stream);
                Ok(answer)
            }
            Ok(None) => Err(Unanswered::Broken),
            Err(_) => Err(Unanswered::Late),
        }
    }
}

/// Whether the other side has not closed it.
fn is_open(stream: &BufReader<TcpStream>) -> bool {
    let mut byte = [0];
    matches!(stream.get_ref().try_read(&mut byte), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}

async fn connect(address: SocketAddr) -> Option<BufReader<TcpStream>> {
    let stream = timeout(CONNECT_BOUND, TcpStream::connect(address)).await.ok()?.ok()?;
    stream.set_nodelay(true).ok()?;
    Some(BufReader::new(stream))
}

fn written(request: &Request<'_>) -> String {
    let Request { method, path, by, body } = request;
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: service\r\ncontent-length: {}\r\n", body.len());
    match by {
        By::Nobody => {}
        By::Cookie(cookie) => text.push_str(&format!("cookie: {cookie}\r\n")),
        By::Bearer(token) => text.push_str(&format!("authorization: Bearer {token}\r\n")),
    }
    if !body.is_empty() {
        text.push_str("content-type: application/json\r\n");
    }
    text.push_str("\r\n");
    text.push_str(body);
    text
}

/// `None`: no whole answer came.
async fn exchange(stream: &mut BufReader<TcpStream>, request: &str) -> Option<Answer> {
    stream.get_mut().write_all(request.as_bytes()).await.ok()?;
    let status = line(stream).await?.split(' ').nth(1)?.parse().ok()?;
    let (mut length, mut cookie) = (0, None);
    for _ in 0..HEAD_LINES_MAX {
        let line = line(stream).await?;
        if line.is_empty() {
            let mut body = vec![0; length];
            stream.read_exact(&mut body).await.ok()?;
            return Some(Answer { status, cookie, body });
        }
        let (name, value) = line.split_once(':')?;
        match name.to_ascii_lowercase().as_str() {
            "content-length" => {
                length = value.trim().parse().ok().filter(|length| *length <= BODY_BYTES_MAX)?
            }
            // The first is the session's.
            "set-cookie" if cookie.is_none() => cookie = value.trim().split(';').next().map(str::to_owned),
            _ => {}
        }
    }
    None
}

async fn line(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    let read = stream.read_line(&mut line).await.ok()?;
    (read > 0).then(|| line.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// Answers each connection with what is given, as far as it is given, and closes it.
    async fn server(answers: Vec<&'static str>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut bytes = [0; 1024];
                let _read = stream.read(&mut bytes).await.unwrap();
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        address
    }

    const REQUEST: Request<'_> = Request { method: "GET", path: "/", by: By::Cookie("a=b"), body: "" };

    #[tokio::test]
    async fn an_answer_is_read_whole_and_a_closed_connection_is_made_anew() {
        let answer = "HTTP/1.1 201 Created\r\nContent-Length: 2\r\nSet-Cookie: s=1; Path=/\r\n\r\n{}";
        let mut wire = Wire::to(server(vec![answer, answer]).await);
        for _ in 0..2 {
            let got = wire.ask(REQUEST).await.unwrap();
            assert_eq!(
                (got.status, got.cookie.as_deref(), got.body.as_slice()),
                (201, Some("s=1"), &b"{}"[..])
            );
            if let Some(stream) = &wire.stream {
                stream.get_ref().readable().await.unwrap();
            }
        }
    }

    #[tokio::test]
    async fn a_broken_answer_is_no_answer_and_nobody_there_means_not_sent() {
        let cut = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}";
        let address = server(vec![cut]).await;
        let mut wire = Wire::to(address);
        assert!(matches!(wire.ask(REQUEST).await, Err(Unanswered::Broken)));
        let mut wire = Wire::to(address);
        assert!(matches!(wire.ask(REQUEST).await, Err(Unanswered::NotSent | Unanswered::Broken)));
    }
}
