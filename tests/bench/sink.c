/* sink: SMTP sink on loopback that only counts; one thread per connection, 256 KiB reads, memmem for the end of data.
 * usage: sink PORT [reply-delay-ms] [dump-dir]      extra verbs: XSTAT (counters as JSON), XRESET
 * gcc -O2 -pthread sink.c -o sink */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>
#define CAP (256 * 1024)
static _Atomic long msgs, bytes, conns, live, peak, serial;
static _Atomic double first_at, last_at;
static int delay_ms; static const char *dump;
static double now(void) { struct timespec t; clock_gettime(CLOCK_REALTIME, &t); return t.tv_sec + t.tv_nsec / 1e9; }
static int say(int fd, const char *s) { if (delay_ms) usleep(delay_ms * 1000); return send(fd, s, strlen(s), MSG_NOSIGNAL) < 0; }

/* Read the message body; `have` bytes after DATA are already in buf. Returns bytes left over after the final dot, or -1. */
static long body(int fd, char *buf, long have) {
    char *win = malloc(CAP + 8); long keep = 2, size = 0; memcpy(win, "\r\n", 2);
    FILE *out = NULL;
    if (dump) { char p[512]; snprintf(p, sizeof p, "%s/%06ld.eml", dump, (long)atomic_fetch_add(&serial, 1)); out = fopen(p, "w"); }
    memcpy(win + keep, buf, have);
    for (;;) {
        char *end = memmem(win, keep + have, "\r\n.\r\n", 5);
        long used = end ? (end - win) + 5 - keep : have;
        size += used;
        if (out) fwrite(win + keep, 1, used, out);
        if (end) {
            long left = have - used; memcpy(buf, win + keep + used, left); free(win); if (out) fclose(out);
            double t = now(), z = 0; atomic_compare_exchange_strong(&first_at, &z, t); last_at = t;
            msgs++; bytes += size; return left;
        }
        long total = keep + have, k = total < 4 ? total : 4;
        memmove(win, win + total - k, k); keep = k;
        have = recv(fd, win + keep, CAP, 0);
        if (have <= 0) { free(win); if (out) fclose(out); return -1; }
    }
}
static void *serve(void *arg) {
    int fd = (int)(long)arg; char *buf = malloc(CAP + 1); long have = 0; conns++;
    long l = ++live; if (l > peak) peak = l;
    if (say(fd, "220 sink ESMTP\r\n")) goto out;
    for (;;) {
        char *nl; buf[have] = 0;
        while (!(nl = memchr(buf, '\n', have))) {
            if (have >= CAP) goto out;
            long r = recv(fd, buf + have, CAP - have, 0); if (r <= 0) goto out; have += r; buf[have] = 0;
        }
        long len = nl - buf + 1; char verb[8] = {0}; memcpy(verb, buf, len < 7 ? len : 7);
        memmove(buf, buf + len, have - len); have -= len;
        char reply[256]; const char *r = "250 ok\r\n";
        if (!strncasecmp(verb, "EHLO", 4)) r = "250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE 1073741824\r\n";
        else if (!strncasecmp(verb, "QUIT", 4)) { say(fd, "221 bye\r\n"); break; }
        else if (!strncasecmp(verb, "XRESET", 6)) { msgs = bytes = conns = peak = 0; first_at = last_at = 0; }
        else if (!strncasecmp(verb, "XSTAT", 5)) {
            snprintf(reply, sizeof reply, "250 {\"msgs\":%ld,\"bytes\":%ld,\"conns\":%ld,\"peak\":%ld,\"first\":%.6f,\"last\":%.6f}\r\n",
                     (long)msgs, (long)bytes, (long)conns, (long)peak, (double)first_at, (double)last_at); r = reply;
        } else if (!strncasecmp(verb, "DATA", 4)) {
            if (say(fd, "354 go\r\n")) break;
            if ((have = body(fd, buf, have)) < 0) break;
        }
        if (say(fd, r)) break;
    }
out: live--; free(buf); close(fd); return NULL;
}
int main(int argc, char **argv) {
    if (argc < 2) return 2;
    delay_ms = argc > 2 ? atoi(argv[2]) : 0; dump = argc > 3 ? argv[3] : NULL;
    signal(SIGPIPE, SIG_IGN);
    int s = socket(AF_INET, SOCK_STREAM, 0), one = 1; setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(s, (void *)&a, sizeof a) || listen(s, 1024)) { perror("bind"); return 1; }
    for (;;) {
        int c = accept(s, NULL, NULL); if (c < 0) continue;
        setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        pthread_t t; pthread_attr_t at; pthread_attr_init(&at); pthread_attr_setdetachstate(&at, PTHREAD_CREATE_DETACHED);
        if (pthread_create(&t, &at, serve, (void *)(long)c)) close(c);
        pthread_attr_destroy(&at);
    }
}
