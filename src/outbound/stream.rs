//! The socket under an SMTP connection, made so that nothing said before TLS can be taken for said within it.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// More than any server says in one line; what is not a line yet is kept in memory by who reads it.
const LONGEST_LINE: usize = 64 << 10;

/// A TCP stream that never reads beyond the end of a line, and breaks where a line never ends.
///
/// A reader that buffers would otherwise keep what someone on the path appended to the answer to STARTTLS,
/// and take it for an answer given under TLS. This way it stays in the socket and breaks the handshake.
#[derive(Debug)]
pub(super) struct LineStream {
    socket: TcpStream,
    /// How much of the present line has been read.
    line: usize,
}

impl LineStream {
    pub(super) fn new(socket: TcpStream) -> Self {
        Self { socket, line: 0 }
    }
}

impl AsyncRead for LineStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut ahead = [0; 512];
        let room = buffer.remaining().min(ahead.len());
        let mut peeked = ReadBuf::new(&mut ahead[..room]);
        let count = ready!(self.socket.poll_peek(context, &mut peeked))?;
        let end = peeked.filled().iter().position(|byte| *byte == b'\n').map(|at| at + 1);
        let length = end.unwrap_or(count);
        self.line = if end.is_some() { 0 } else { self.line + length };
        if self.line > LONGEST_LINE {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the server says a line that does not end",
            )));
        }
        let mut line = [0; 512];
        let mut part = ReadBuf::new(&mut line[..length]);
        ready!(Pin::new(&mut self.socket).poll_read(context, &mut part))?;
        buffer.put_slice(part.filled());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for LineStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

impl AsyncTokioStream for LineStream {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket.peer_addr()
    }
}
