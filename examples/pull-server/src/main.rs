//! Pulls images on request into one cache: `pull-server CACHE ADDRESS`.
//!
//! A client sends a reference on a line and receives `ok PATH` with the descriptor of the disk, or `error MESSAGE`. Its images are not removed from
//! the cache while it is connected. Two clients that request one image share its downloads.
use std::error::Error;
use std::io;

use microsandbox_image::{GlobalCache, Platform, PullOptions, PullResult, Registry};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// The most bytes that a client may send.
const MAX_REQUEST_BYTES: u64 = 64 << 10;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [cache, address] = &arguments[..] else {
        return Err("usage: pull-server CACHE ADDRESS".into());
    };
    let registry = Registry::new(Platform::host_linux(), GlobalCache::new(cache)?)?;
    let listener = TcpListener::bind(address).await?;
    println!("{}", listener.local_addr()?);
    loop {
        let (client, _) = listener.accept().await?;
        let registry = registry.clone();
        tokio::spawn(async move {
            if let Err(error) = serve(client, &registry).await {
                eprintln!("a client: {error}");
            }
        });
    }
}

async fn serve(client: TcpStream, registry: &Registry) -> io::Result<()> {
    let (requests, mut replies) = client.into_split();
    let mut requests = BufReader::new(requests.take(MAX_REQUEST_BYTES)).lines();
    let mut leased = Vec::new();
    while let Some(reference) = requests.next_line().await? {
        let reply = match pull(registry, &reference).await {
            Ok(image) => {
                let reply = format!("ok {}\n", image.vmdk.display());
                leased.push(image);
                reply
            }
            Err(error) => format!("error {error}\n"),
        };
        replies.write_all(reply.as_bytes()).await?;
    }
    Ok(())
}

async fn pull(
    registry: &Registry,
    reference: &str,
) -> Result<PullResult, Box<dyn Error + Send + Sync>> {
    Ok(registry.pull(&reference.parse()?, &PullOptions::default()).await?)
}
