//! One connection: reads requests, applies faults and sends responses.

use std::{
    io::{self, BufReader, Write},
    net::TcpStream,
    sync::atomic::Ordering,
    thread,
    time::Duration,
};

use super::reply::Reply;
use super::{Fault, Request, Shared};

/// Answers the requests of one connection until either side closes it.
pub(super) fn serve(socket: &TcpStream, shared: &Shared) -> io::Result<()> {
    let mut first = [0];
    // A TLS handshake: close the connection, as servers without TLS do.
    if socket.peek(&mut first)? == 0 || first[0] == 0x16 {
        return Ok(());
    }
    let mut input = BufReader::new(socket);
    while let Some(request) = Request::read(&mut input)? {
        let (fault, layouts, heals) = {
            let mut state = shared.lock();
            state.requests.push(request.clone());
            let fault = state.take_fault(&request.path);
            (fault, state.layouts.clone(), state.heals)
        };
        let obeys_range = fault != Some(Fault::NoRange);
        let mut reply = Reply::to(&request, &layouts, obeys_range);
        match &fault {
            Some(Fault::Status(status)) => reply = Reply::problem(*status),
            Some(Fault::Response {
                status,
                content_type,
                body,
            }) => {
                reply = Reply::new(*status, content_type, body.clone());
            }
            Some(Fault::Challenge(challenge)) => {
                reply = Reply::problem(401);
                reply.headers.push(("WWW-Authenticate", challenge.clone()));
            }
            Some(Fault::Body(body)) => reply.body.clone_from(body),
            _ => {}
        }
        let is_whole = send(socket, &request, &reply, fault.as_ref(), || {
            shared.lock().heals > heals || shared.stopped.load(Ordering::Acquire)
        })?;
        if !is_whole {
            return Ok(());
        }
    }
    Ok(())
}

/// Sends the response. Returns whether the connection can be used further.
fn send(
    mut socket: &TcpStream,
    request: &Request,
    reply: &Reply,
    fault: Option<&Fault>,
    is_healed: impl Fn() -> bool,
) -> io::Result<bool> {
    let mut head = format!(
        "HTTP/1.1 {} X\r\nContent-Length: {}\r\n",
        reply.status,
        reply.body.len()
    );
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    socket.write_all(head.as_bytes())?;
    if request.method == "HEAD" {
        return Ok(true);
    }
    let body = &reply.body;
    match fault {
        Some(Fault::CutAfter(bytes)) => {
            socket.write_all(&body[..(*bytes).min(body.len())])?;
            Ok(false)
        }
        Some(Fault::StallAfter(bytes, pause)) => {
            socket.write_all(&body[..(*bytes).min(body.len())])?;
            thread::sleep(*pause);
            Ok(false)
        }
        Some(Fault::HoldAfter(bytes)) => {
            let (first, rest) = body.split_at((*bytes).min(body.len()));
            socket.write_all(first)?;
            while !is_healed() {
                thread::sleep(Duration::from_millis(5));
            }
            socket.write_all(rest).map(|()| true)
        }
        Some(Fault::Slow(piece, pause)) => {
            for piece in body.chunks((*piece).max(1)) {
                thread::sleep(*pause);
                socket.write_all(piece)?;
            }
            Ok(true)
        }
        _ => socket.write_all(body).map(|()| true),
    }
}
