//! One request of a connection at a time: the next is not read before the last was answered, and its answer taken.
//!
//! The library parses whatever arrives, and keeps what it parsed: one connection that sends thousands of requests in one
//! go costs tens of mebibytes, and one that takes no answers keeps a thread busy. Held back here they wait where they
//! cost nothing: in the socket of whoever sends them. Nor does it wait for ever for whoever is slow: a head has a time to
//! become a request, and an answer one to be taken.

use std::cell::RefCell;
use std::io::ErrorKind;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use actix_web::rt::net::TcpStream;
use actix_web::web::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::DISCONNECT_TIME;

/// How much is read at once, in bytes.
const AT_ONCE: usize = 8 << 10;
/// How much of a body without a length is let in before others have their turn, in bytes: behind it there may be more
/// requests, and this bounds how many.
const AT_ONCE_UNMEASURED: usize = 1 << 10;

/// What of a connection is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// The head of a request, to its end.
    Head,
    /// Nothing: a request is being answered.
    Nothing,
    /// As many bytes of a body; then the next head if the request was answered meanwhile.
    Body { left: u64, answered: bool },
    /// A body without a length. The connection ends with its answer.
    Unmeasured,
    /// Nothing any more: the last answer was given, and what still comes is thrown away until the other side has taken
    /// it. Who hangs up on somebody who still speaks takes the answer back as well.
    Over,
}

/// What was seen of a head so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// Nothing but ends of lines, which may stand before it.
    Nothing,
    /// Part of a line.
    Line,
    /// The end of a line, perhaps with a carriage return after it.
    LineEnd,
}

/// Which part of a connection has its turn.
#[derive(Debug)]
struct Turns {
    part: Part,
    head: Seen,
    /// Until when what was let in has to become a request.
    deadline: Option<Pin<Box<Sleep>>>,
    /// What was read and is not let in yet.
    held: BytesMut,
    /// Until when something of the last answer has to be taken, while it waits for the other side.
    untaken: Option<Pin<Box<Sleep>>>,
    /// Whether others had their turn since a part of an unmeasured body was let in.
    rested: bool,
    /// Who was told to wait.
    reader: Option<Waker>,
}

impl Turns {
    /// How many of these bytes are let in now.
    fn admit(&mut self, bytes: &[u8]) -> usize {
        match &mut self.part {
            Part::Nothing | Part::Over => 0,
            Part::Unmeasured => {
                self.rested = false;
                bytes.len().min(AT_ONCE_UNMEASURED)
            }
            Part::Body { left, answered } => {
                let most = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= most as u64;
                if *left == 0 {
                    self.part = if *answered { Part::Head } else { Part::Nothing };
                }
                most
            }
            Part::Head => {
                for (place, byte) in bytes.iter().enumerate() {
                    match byte {
                        b'\n' if self.head == Seen::LineEnd => {
                            self.head = Seen::Nothing;
                            self.part = Part::Nothing;
                            return place + 1;
                        }
                        b'\n' if self.head == Seen::Line => self.head = Seen::LineEnd,
                        b'\r' | b'\n' => {}
                        _ => self.head = Seen::Line,
                    }
                }
                bytes.len()
            }
        }
    }

    fn wake(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

/// Says, of a connection, which part has its turn.
#[derive(Clone, Debug)]
pub(super) struct Turn(Rc<RefCell<Turns>>);

impl Turn {
    /// A request is looked at: its body is let in, of this length or of none that was said.
    pub(super) fn body(&self, length: Option<u64>) {
        let mut turns = self.0.borrow_mut();
        if turns.part == Part::Over {
            return;
        }
        turns.deadline = None;
        match length {
            Some(0) => {}
            Some(left) => turns.part = Part::Body { left, answered: false },
            None => turns.part = Part::Unmeasured,
        }
        turns.wake();
    }

    /// The request was answered. What is left of its body goes before the next.
    pub(super) fn answered(&self) {
        let mut turns = self.0.borrow_mut();
        match &mut turns.part {
            Part::Body { answered, .. } => *answered = true,
            part @ Part::Nothing => *part = Part::Head,
            part @ Part::Unmeasured => {
                *part = Part::Over;
                turns.deadline = Some(Box::pin(sleep(DISCONNECT_TIME)));
            }
            Part::Head | Part::Over => {}
        }
        turns.wake();
    }
}

/// A connection of which one request at a time is read.
#[derive(Debug)]
pub(super) struct InTurn<S = TcpStream> {
    stream: S,
    patience: Patience,
    turns: Rc<RefCell<Turns>>,
}

/// How long the other side of a connection is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For the whole head of a request.
    pub(super) head: Duration,
    /// For taking any part of an answer.
    pub(super) taking: Duration,
}

impl<S> InTurn<S> {
    /// A connection whose other side is waited for so long.
    pub(super) fn new(stream: S, patience: Patience) -> Self {
        let turns = Turns {
            part: Part::Head,
            head: Seen::Nothing,
            deadline: None,
            held: BytesMut::new(),
            untaken: None,
            rested: true,
            reader: None,
        };
        Self { stream, patience, turns: Rc::new(RefCell::new(turns)) }
    }

    pub(super) fn stream(&self) -> &S {
        &self.stream
    }

    /// What says which part has its turn.
    pub(super) fn turn(&self) -> Turn {
        Turn(Rc::clone(&self.turns))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for InTurn<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let turns = Rc::clone(&self.turns);
        let mut turns = turns.borrow_mut();
        if turns.deadline.as_mut().is_some_and(|deadline| deadline.as_mut().poll(context).is_ready()) {
            let over = turns.part == Part::Over;
            return Poll::Ready(if over { Ok(()) } else { Err(ErrorKind::TimedOut.into()) });
        }
        if turns.part == Part::Over {
            turns.held.clear();
            let mut bytes = [0; AT_ONCE];
            let mut read = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut read))?;
            if read.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            // More may be there, and others have their turn between.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if turns.untaken.is_some() || turns.part == Part::Nothing {
            turns.reader = Some(context.waker().clone());
            return Poll::Pending;
        }
        if turns.part == Part::Unmeasured && !std::mem::replace(&mut turns.rested, true) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if turns.held.is_empty() {
            let mut bytes = [0; AT_ONCE];
            let mut read = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut read))?;
            if read.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            turns.held.extend_from_slice(read.filled());
        }
        if turns.part == Part::Head && turns.deadline.is_none() {
            // Looked at when more is read, and that is at once.
            turns.deadline = Some(Box::pin(sleep(self.patience.head)));
        }
        let mut held = std::mem::take(&mut turns.held);
        let admitted = turns.admit(&held[..held.len().min(buffer.remaining())]);
        buffer.put_slice(&held[..admitted]);
        held.advance(admitted);
        turns.held = held;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for InTurn<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        let mut turns = self.turns.borrow_mut();
        if written.is_pending() {
            let taking = self.patience.taking;
            let untaken = turns.untaken.get_or_insert_with(|| Box::pin(sleep(taking)));
            ready!(untaken.as_mut().poll(context));
            return Poll::Ready(Err(ErrorKind::TimedOut.into()));
        }
        if turns.untaken.take().is_some() {
            turns.wake();
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A connection, who speaks on its other side, and how often whoever reads it was woken.
    struct Pair {
        connection: InTurn<DuplexStream>,
        other: DuplexStream,
        woken: Arc<Woken>,
    }

    impl Pair {
        async fn saying(text: &str) -> Self {
            let (stream, mut other) = duplex(64 << 10);
            other.write_all(text.as_bytes()).await.unwrap();
            let patience = Patience { head: Duration::from_secs(15), taking: Duration::from_mins(1) };
            let connection = InTurn::new(stream, patience);
            Self { connection, other, woken: Arc::default() }
        }

        /// What is let in; nothing if there is to be waited.
        fn reads(&mut self) -> Option<String> {
            let waker = Arc::clone(&self.woken).into();
            let mut bytes = [0; 4 << 10];
            let mut buffer = ReadBuf::new(&mut bytes);
            let polled =
                Pin::new(&mut self.connection).poll_read(&mut Context::from_waker(&waker), &mut buffer);
            polled.is_ready().then(|| String::from_utf8_lossy(buffer.filled()).into_owned())
        }

        fn woken(&self) -> usize {
            self.woken.0.load(Ordering::Relaxed)
        }
    }

    #[tokio::test]
    async fn the_next_request_is_let_in_when_the_last_was_answered() {
        let mut pair = Pair::saying("GET /a\r\nHost: x\r\n\r\nGET /b\n\nPOST /c\r\n\r\n12345GET /d").await;
        let turn = pair.connection.turn();
        assert_eq!(pair.reads().unwrap(), "GET /a\r\nHost: x\r\n\r\n");
        turn.body(Some(0));
        assert_eq!((pair.reads(), pair.woken()), (None, 0));
        turn.answered();
        assert_eq!((pair.woken(), pair.reads()), (1, Some("GET /b\n\n".to_owned())));
        turn.answered();
        assert_eq!(pair.reads().unwrap(), "POST /c\r\n\r\n");
        assert_eq!(pair.reads(), None);
        turn.body(Some(5));
        assert_eq!((pair.woken(), pair.reads()), (2, Some("12345".to_owned())));
        assert_eq!(pair.reads(), None, "the body is there, the answer is not");
        turn.answered();
        assert_eq!(pair.reads().unwrap(), "GET /d", "part of a head");
    }

    #[tokio::test]
    async fn the_body_of_a_request_that_is_answered_early_goes_before_the_next() {
        let mut pair = Pair::saying("POST /c\r\n\r\n12345GET /d\r\n\r\n").await;
        let turn = pair.connection.turn();
        pair.reads().unwrap();
        turn.body(Some(5));
        turn.answered();
        assert_eq!(pair.reads().unwrap(), "12345");
        assert_eq!(pair.reads().unwrap(), "GET /d\r\n\r\n");
        assert_eq!(pair.reads(), None);
    }

    #[tokio::test]
    async fn an_unmeasured_body_comes_in_small_parts_and_others_have_their_turn_between_them() {
        let mut pair = Pair::saying(&format!("POST /c\r\n\r\n{}", "x".repeat(3_000))).await;
        pair.reads().unwrap();
        pair.connection.turn().body(None);
        let parts: Vec<_> = (0..5).map(|_| pair.reads().map(|part| part.len())).collect();
        assert_eq!(parts, [Some(AT_ONCE_UNMEASURED), None, Some(AT_ONCE_UNMEASURED), None, Some(952)]);
        assert_eq!(pair.woken(), 2, "it goes on by itself");
    }

    #[tokio::test]
    async fn nothing_is_read_of_whoever_takes_no_answers() {
        let mut pair = Pair::saying("GET /a\r\n\r\nGET /b\r\n\r\n").await;
        let turn = pair.connection.turn();
        pair.reads().unwrap();
        let waker = Arc::new(Woken::default()).into();
        let mut context = Context::from_waker(&waker);
        let answer = [b'x'; 8 << 10];
        while Pin::new(&mut pair.connection).poll_write(&mut context, &answer).is_ready() {}
        turn.answered();
        assert_eq!(pair.reads(), None);
        let mut taken = vec![0; 64 << 10];
        pair.other.read_exact(&mut taken).await.unwrap();
        assert!(Pin::new(&mut pair.connection).poll_write(&mut context, &answer).is_ready());
        assert_eq!((pair.woken(), pair.reads()), (1, Some("GET /b\r\n\r\n".to_owned())));
    }

    #[tokio::test]
    async fn after_the_answer_to_an_unmeasured_body_nothing_is_let_in_and_the_connection_ends() {
        let mut pair = Pair::saying("POST /a\r\n\r\n").await;
        let turn = pair.connection.turn();
        pair.reads().unwrap();
        turn.body(None);
        pair.other.write_all(&[b'x'; 3_000]).await.unwrap();
        assert_eq!(pair.reads().unwrap().len(), AT_ONCE_UNMEASURED);
        turn.answered();
        pair.other.write_all(b"GET /b\r\n\r\n").await.unwrap();
        assert_eq!(pair.reads(), None, "thrown away");
        // What was let in before may have been another request.
        turn.body(Some(7));
        turn.answered();
        assert_eq!(pair.reads(), None);
        pair.other.shutdown().await.unwrap();
        assert_eq!(pair.connection.read(&mut [0; 8]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn an_answer_of_which_nothing_is_taken_in_time_ends_the_connection() {
        let mut pair = Pair::saying("").await;
        pair.connection.patience.taking = Duration::from_millis(1);
        let answer = vec![b'x'; 100 << 10];
        let error = pair.connection.write_all(&answer).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn what_becomes_no_request_in_time_ends_the_connection() {
        let hurried = async |text| {
            let mut pair = Pair::saying(text).await;
            pair.connection.patience.head = Duration::from_millis(1);
            pair
        };
        for text in ["GET /a", "\r\n\r\n", "\0\r\n\r\n"] {
            let mut pair = hurried(text).await;
            let mut bytes = [0; 64];
            assert_eq!(pair.connection.read(&mut bytes).await.unwrap(), text.len());
            let error = pair.connection.read(&mut bytes).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TimedOut, "{text:?}");
        }
        let mut pair = hurried("\r\n\r\nGET /a\r\n\r\nGET").await;
        let turn = pair.connection.turn();
        assert_eq!(pair.reads().unwrap(), "\r\n\r\nGET /a\r\n\r\n", "what stands before it is no head");
        turn.body(Some(0));
        assert!(pair.connection.turns.borrow().deadline.is_none(), "an answer has its own time");
        turn.answered();
        assert_eq!(pair.reads().unwrap(), "GET");
        let error = pair.connection.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "the second head too");
    }
}
