/**
 * What runs on the far side, by its `sh`: no file is put there. Each ends when its standard input does, so that nothing stays behind
 * when we are killed (`docker exec` and ssh leave their command running when only they themselves are).
 *
 * And none may leave a child behind: in a container PostgreSQL is process 1, which inherits orphans, takes one that a signal ended for
 * a crashed process of its own, and restarts (postmaster.c, CleanupBackend). So relays are one process each, and the shell waits.
 */

/**
 * Finds PostgreSQL's socket: `$1` host, `$2` port. A container's own socket comes before its TCP, because images trust it.
 * Leaves `s` (path of a socket, or empty) and `h`.
 */
const WHERE = `h=$1 p=$2 s=
case $h in
/*) s=$h/.s.PGSQL.$p;;
'') h=127.0.0.1; for d in /var/run/postgresql /tmp; do [ -S "$d/.s.PGSQL.$p" ] && { s=$d/.s.PGSQL.$p; break; }; done;;
esac
has() { command -v "$1" >/dev/null 2>&1; }`;

/** Copies both ways until one side closes; whatever the server still says is passed on first. */
const PERL = `use strict; use IO::Socket::INET; use IO::Socket::UNIX; my ($s, $h, $p) = @ARGV;
my $c = $s ne "" ? IO::Socket::UNIX->new(Peer => $s) : IO::Socket::INET->new(PeerAddr => $h, PeerPort => $p, Proto => "tcp");
$c or die(($s ne "" ? $s : "$h:$p") . ": $!\\n");
my $f = fileno($c); my $b;
while (1) { my $r = ""; vec($r, 0, 1) = 1; vec($r, $f, 1) = 1; select($r, undef, undef, undef) < 0 and next;
for ([0, \\*STDIN, $c], [$f, $c, \\*STDOUT]) { next unless vec($r, $_->[0], 1);
my $n = sysread($_->[1], $b, 65536); exit 0 unless $n;
for (my $o = 0; $o < $n;) { my $w = syswrite($_->[2], $b, $n - $o, $o); defined $w or exit 1; $o += $w } } }`;

const PYTHON = `import os, select, socket, sys
s, h, p = sys.argv[1:4]
try:
    c = socket.socket(socket.AF_UNIX) if s else None
    c.connect(s) if s else None
    c = c or socket.create_connection((h, int(p)))
except OSError as e: sys.exit("%s: %s" % (s or h + ":" + p, e))
while True:
    for i in select.select([0, c], [], [])[0]:
        b = os.read(i if i == 0 else c.fileno(), 65536)
        if not b: sys.exit(0)
        if i == 0: c.sendall(b)
        else:
            while b: b = b[os.write(1, b):]`;

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/** Connects standard input and output with PostgreSQL by what is there. Of nc only BusyBox's: OpenBSD's does not end with the server. */
const RELAY = `${WHERE}
if has socat; then [ -n "$s" ] && exec socat - "UNIX-CONNECT:$s"; exec socat - "TCP:$h:$p"; fi
if has perl && perl -MIO::Socket::UNIX -e1 2>/dev/null; then exec perl -e ${quoted(PERL)} "$s" "$h" "$p"; fi
if has python3; then exec python3 -c ${quoted(PYTHON)} "$s" "$h" "$p"; fi
case $1 in
/*) ;;
*) if has nc; then case $(nc --help 2>&1) in *BusyBox*) exec nc "$h" "$p";; esac; fi;;
esac
echo 'lifeboat: socat, perl, python3, or for TCP the nc of BusyBox is needed there, and none is found' >&2; exit 69`;

export function relayArgv(host: string, port: number): string[] {
  return ['sh', '-c', RELAY, 'lifeboat-relay', host, String(port)];
}

/** One line a program of this name, `PATH<tab>WHAT IT SAYS`: on the PATH, and where Debian and Red Hat keep each major apart. */
const LIST_CLIENTS = `for f in "$1" /usr/lib/postgresql/*/bin/"$1" /usr/pgsql-*/bin/"$1"; do
f=$(command -v "$f") && [ -x "$f" ] && printf '%s\\t%s\\n' "$f" "$("$f" --version)"
done; exit 0`;

export function listClientsArgv(name: string): string[] {
  return ['sh', '-c', LIST_CLIENTS, 'lifeboat-look', name];
}

/**
 * Standard input: lines NAME=VALUE for the environment (argv is visible to everybody there), an empty line, and then nothing until
 * we end. Then the program is ended too.
 */
const CLIENT = `while IFS= read -r line && [ -n "$line" ]; do export "$line"; done
if [ -z "\${PGHOST:-}" ] && [ ! -S "/var/run/postgresql/.s.PGSQL.$PGPORT" ] && [ ! -S "/tmp/.s.PGSQL.$PGPORT" ]; then export PGHOST=127.0.0.1; fi
exec 3<&0
"$@" 3<&- </dev/null & child=$!
{ while read -r line; do :; done <&3; kill "$child"; } >/dev/null 2>&1 & watch=$!
exec 3<&-
wait "$child"; status=$?
kill "$watch" 2>/dev/null
wait "$watch" 2>/dev/null
exit "$status"`;

export function farClientArgv(argv: readonly string[]): string[] {
  return ['sh', '-c', CLIENT, 'lifeboat-client', ...argv];
}

/** Errors: RangeError for a value that no line can hold. */
export function environmentLines(env: Readonly<Record<string, string>>): string {
  const lines = Object.entries(env).map(([name, value]) => `${name}=${value}\n`);
  if (lines.some((line) => line.indexOf('\n') < line.length - 1))
    throw new RangeError('a line break in a value');
  return `${lines.join('')}\n`;
}
