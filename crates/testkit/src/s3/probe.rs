//! Asking a fresh endpoint whether it examines what tests rely on.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{BUCKET, S3Endpoint, signing};
use crate::Error;

/// How long one answer is waited for.
const ANSWER_BOUND: Duration = Duration::from_secs(10);

/// Object of the questions.
const KEY: &str = "probe";

/// What is asked: in words, the status that it must have, the method, the secret, and further headers.
type Question<'a> = (&'a str, u16, &'a str, Option<&'a str>, &'a [(&'a str, &'a str)]);

pub(super) async fn examine(endpoint: &S3Endpoint) -> Result<(), Error> {
    let secret = endpoint.secret_key();
    let create = [("if-none-match", "*")];
    let questions: [Question<'_>; 6] = [
        ("without a signature", 403, "PUT", None, &[]),
        ("with a wrong secret", 403, "PUT", Some("another secret"), &[]),
        ("to make what is not there", 200, "PUT", Some(secret), &create),
        ("to make what is there", 412, "PUT", Some(secret), &create),
        ("with a signature", 200, "GET", Some(secret), &[]),
        ("to remove it", 204, "DELETE", Some(secret), &[]),
    ];
    for (what, wanted, method, secret, extra) in questions {
        let status = ask(endpoint, method, secret, extra).await?;
        if status != wanted {
            return Err(Error::State(format!(
                "the S3 endpoint answered {status} and not {wanted} to a {method} {what}; tests against it prove nothing"
            )));
        }
    }
    Ok(())
}

/// The status of one request.
async fn ask(
    endpoint: &S3Endpoint,
    method: &str,
    secret: Option<&str>,
    extra: &[(&str, &str)],
) -> Result<u16, Error> {
    let host = format!("127.0.0.1:{}", endpoint.port());
    let path = format!("/{BUCKET}/{KEY}");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let headers = match secret {
        Some(secret) => {
            let date = signing::amz_date(now);
            signing::headers(method, &host, &path, extra, S3Endpoint::ACCESS_KEY, secret, &date)
        }
        None => vec![("host".to_owned(), host.clone())],
    };
    let mut request = format!("{method} {path} HTTP/1.1\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("content-length: 0\r\nconnection: close\r\n\r\n");
    let exchange = async {
        let mut stream = TcpStream::connect(&host).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    let answer = tokio::time::timeout(ANSWER_BOUND, exchange).await.map_err(|_| Error::Timeout {
        what: "the S3 endpoint answers".to_owned(),
        bound: ANSWER_BOUND,
        seen: String::new(),
    })?;
    let answer = answer.map_err(Error::process("ask", "the S3 endpoint"))?;
    let text = String::from_utf8_lossy(&answer);
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.ok_or_else(|| Error::State(format!("the S3 endpoint answered no HTTP: {text}")))
}
