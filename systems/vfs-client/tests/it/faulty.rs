//! A network between clients and one server that loses requests, loses answers, cuts them, and repeats requests.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use crate::stored::Draw;

/// Bytes of an answer that come before it is cut.
const CUT_AFTER: usize = 60;

/// What becomes of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Passes,
    /// The request does not arrive.
    RequestLost,
    /// It is done, and nobody hears of it.
    AnswerLost,
    /// Of the answer only the beginning comes.
    AnswerCut,
    /// It arrives twice; the second answer comes.
    Repeated,
}

/// One network.
pub(crate) struct Network {
    port: u16,
    is_healed: Arc<AtomicBool>,
    faults: Arc<AtomicU64>,
}

impl Network {
    /// In front of a port of this machine.
    pub(crate) async fn start(upstream: u16, seed: u64) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (is_healed, faults) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (healed, count) = (is_healed.clone(), faults.clone());
        tokio::spawn(async move {
            let mut draw = Draw(seed.wrapping_mul(31).wrapping_add(u64::from(upstream)));
            while let Ok((connection, _)) = listener.accept().await {
                let fate = match draw.below(10) {
                    _ if healed.load(Ordering::SeqCst) => Fate::Passes,
                    0 => Fate::RequestLost,
                    1 => Fate::AnswerLost,
                    2 => Fate::AnswerCut,
                    3 => Fate::Repeated,
                    _ => Fate::Passes,
                };
                count.fetch_add(u64::from(fate != Fate::Passes), Ordering::SeqCst);
                tokio::spawn(async move {
                    // Either side may go away at any time; that is what it is for.
                    let _ended = pass(connection, upstream, fate).await;
                });
            }
        });
        Self { port, is_healed, faults }
    }

    pub(crate) fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// From now on everything passes.
    pub(crate) fn heal(&self) {
        self.is_healed.store(true, Ordering::SeqCst);
    }

    /// Connections that something happened to.
    pub(crate) fn faults(&self) -> u64 {
        self.faults.load(Ordering::SeqCst)
    }
}

async fn pass(mut client: TcpStream, upstream: u16, fate: Fate) -> std::io::Result<()> {
    let address = (Ipv4Addr::LOCALHOST, upstream);
    match fate {
        Fate::Passes => {
            let mut server = TcpStream::connect(address).await?;
            copy_bidirectional(&mut client, &mut server).await.map(drop)
        }
        Fate::RequestLost => request(&mut client).await.map(drop),
        Fate::AnswerLost => {
            let request = request(&mut client).await?;
            let mut server = TcpStream::connect(address).await?;
            server.write_all(&request).await?;
            answer(&mut server).await.map(drop)
        }
        Fate::AnswerCut => {
            let request = request(&mut client).await?;
            let mut server = TcpStream::connect(address).await?;
            server.write_all(&request).await?;
            let answer = answer(&mut server).await?;
            client.write_all(&answer[..answer.len().min(CUT_AFTER)]).await
        }
        Fate::Repeated => {
            let request = request(&mut client).await?;
            for time in 0..2 {
                let mut server = TcpStream::connect(address).await?;
                server.write_all(&request).await?;
                let answer = answer(&mut server).await?;
                if time == 1 {
                    client.write_all(&answer).await?;
                }
            }
            Ok(())
        }
    }
}

fn head_of(bytes: &[u8]) -> Option<(usize, usize)> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    Some((end, length.unwrap_or(0)))
}

/// One whole request. What is sent in chunks is taken to its last one.
async fn request(client: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    whole(client).await
}

async fn answer(server: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    whole(server).await
}

async fn whole(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let (mut bytes, mut piece) = (Vec::new(), vec![0; 16 << 10]);
    loop {
        let read = stream.read(&mut piece).await?;
        bytes.extend_from_slice(&piece[..read]);
        let Some((head, length)) = head_of(&bytes) else {
            if read == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            continue;
        };
        let is_chunked = String::from_utf8_lossy(&bytes[..head])
            .to_ascii_lowercase()
            .contains("transfer-encoding: chunked");
        let is_whole = if is_chunked { bytes.ends_with(b"0\r\n\r\n") } else { bytes.len() >= head + length };
        if is_whole || read == 0 {
            return Ok(bytes);
        }
    }
}
