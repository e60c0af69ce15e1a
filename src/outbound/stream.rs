//! The socket under an SMTP connection, made so that nothing said before TLS can be taken for said within it.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A TCP stream that never reads beyond the end of a line.
///
/// A reader that buffers would otherwise keep what someone on the path appended to the answer to STARTTLS,
/// and take it for an answer given under TLS. This way it stays in the socket and breaks the handshake.
#[derive(Debug)]
pub(super) struct LineStream(pub(super) TcpStream);

impl AsyncRead for LineStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut ahead = [0; 512];
        let room = buffer.remaining().min(ahead.len());
        let mut peeked = ReadBuf::new(&mut ahead[..room]);
        let count = ready!(self.0.poll_peek(context, &mut peeked))?;
        let length = peeked.filled().iter().position(|byte| *byte == b'\n').map_or(count, |end| end + 1);
        let mut line = [0; 512];
        let mut part = ReadBuf::new(&mut line[..length]);
        ready!(Pin::new(&mut self.0).poll_read(context, &mut part))?;
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
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

impl AsyncTokioStream for LineStream {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.peer_addr()
    }
}
