# Reading scripts, one after the other, on one channel: what sshd, a login shell and a bash take to get ready for a
# script is paid once. Each script has a bash, a process group, pipes and a file for outputs of its own. What lives
# on is this loop; it keeps nothing of one script for the next, and goes when its input ends.
#
# Built-ins alone, as in run.pl, and the records of the plain way: B, E and Z on stdout, B and Z on stderr.

our ($buffer, $nonce, $bash);
our ($EINTR, $WNOHANG, $READ_AT_ONCE, $OUTPUTS_LIMIT, $PIPE_HOLDS) = (4, 1, 65536, 65537, 65536);
our ($GRACE, $ENOUGH, $TURNS) = (5, 32768, 4);    # seconds; bytes, and turns of the loop, that do not wait
our ($HOLD, $NAP) = (0.02, 0.25);
our @channel = (undef, \*STDOUT, \*STDERR);
our ($place, $outputs, $count) = ("", "", 0);
our ($payload, $input, $child, $code, $asked, $held, $alone, $lost);
our (@script, @wait);

sub record { return "\036OPSPORTAL $nonce @_\n" }

# ---- the order

sub go {
    rmdir $place if $place;
    exit 0;
}

sub more {
    my $got = sysread(STDIN, $buffer, $READ_AT_ONCE, length $buffer);
    go() if defined $got ? !$got : $! + 0 != $EINTR;
}

# The nonce stands behind the script again, which shows that it came whole.
sub take_order {
    my $at;
    more() while ($at = index($buffer, "\n")) < 0;
    (my $length, $nonce) = (substr($buffer, 0, $at + 1, "") =~ /^OPSPORTAL ([0-9a-f]{32}) ([0-9]+)$/)[1, 0];
    defined $length && $length >= 32 or exit 92;
    more() while length $buffer < $length;
    $payload = substr($buffer, 0, $length, "");
    substr($payload, -32, 32, "") eq $nonce or exit 92;
}

# ---- the script

# One directory of ours for the files of outputs: made, never taken over. Each script has its own file, because
# what an earlier one left in the background may still write.
sub make_outputs {
    if (!$place || !-d $place) {
        my $mask = umask 077;
        for my $parent ("/dev/shm", $ENV{TMPDIR} || "/tmp", $ENV{HOME} || "/") {
            $place = "$parent/.opsportal-$nonce";
            last if mkdir $place, 0700;
            $place = "";
        }
        umask $mask;
    }
    $outputs = "$place/" . ++$count;
    open(my $made, ">", $outputs) or $outputs = "/dev/null";
}

sub start {
    make_outputs();
    pipe(my $from, $input) && pipe($script[1], my $out) && pipe($script[2], my $err) or exit 93;
    # It shows that the pipe was not cut. Whoever lists processes sees it, so it is not the nonce.
    my $mark = "$$-$count-" . length $payload;
    $payload .= "#$mark";
    ($code, $asked, $held, $alone) = (undef, 0, 0, 0);
    $child = fork;
    defined $child or exit 93;
    become_script($mark, $from, $out, $err) if !$child;
    setpgrp $child, $child;    # it does the same: whoever is first
    @wait = ("", (record("B")) x 2);
}

sub become_script {
    my ($mark, $from, $out, $err) = @_;
    setpgrp 0, 0;
    $ENV{OPSPORTAL_OUTPUT} = $outputs;
    open(STDIN, "<&", $from) && open(STDOUT, ">&", $out) && open(STDERR, ">&", $err)
        && exec "bash", "--norc", "-c", $bash, "bash", $mark;
    kill KILL => $$;
}

sub feed_script {
    my $fed = syswrite($input, $payload, 4096);
    return if !defined $fed && $! + 0 == $EINTR;
    substr($payload, 0, $fed, "") if $fed;
    undef $input if !$fed || !length $payload;
}

sub pump {
    my $stream = shift;
    my $got = sysread($script[$stream], $wait[$stream], $READ_AT_ONCE, length $wait[$stream]);
    undef $script[$stream] if defined $got && !$got;
    return $got;
}

sub reap {
    return if defined $code || waitpid($child, $WNOHANG) != $child;
    $code = $? & 127 ? 128 + ($? & 127) : $? >> 8;
}

# ---- stopping

sub stop {
    return if $asked;
    $asked = time;
    kill TERM => -$child;
}

# Our input says no more: the script is to end, and then we.
sub listen_on {
    my $got = sysread(STDIN, $buffer, $READ_AT_ONCE, length $buffer);
    stop() if defined $got && !$got;
}

# Nobody is there who could be told.
sub lose_channel {
    $lost = 1;
    @wait = ("") x 3;
    stop();
}

# ---- the channel

# As much as surely does not make us wait: a writable pipe takes 4096 bytes (PIPE_BUF), a socket much more.
sub send_piece {
    my $stream = shift;
    my $sent = syswrite($channel[$stream], $wait[$stream], -S $channel[$stream] ? $READ_AT_ONCE : 4096);
    if (defined $sent) { substr($wait[$stream], 0, $sent, "") }
    elsif ($! + 0 != $EINTR) { lose_channel() }
}

# The first words, and small pieces, wait a moment for what follows: a short script costs a packet for each stream.
sub look {
    my $open = $script[1] || $script[2];
    my $due = $held >= $TURNS || length $wait[1] >= $ENOUGH || length $wait[2] >= $ENOUGH;
    my ($readable, $writable) = ("", "");
    vec($readable, 0, 1) = 1 if !$asked;
    vec($writable, fileno $input, 1) = 1 if $input;
    for my $stream (1, 2) {
        vec($readable, fileno $script[$stream], 1) = 1
            if $script[$stream] && ($lost || length $wait[$stream] < $READ_AT_ONCE);
        vec($writable, $stream, 1) = 1 if $due && length $wait[$stream];
    }
    # Without pipes only its end is to come. That interrupts us, but it may have come just now.
    my $nap = !$open && $alone++ < 20 ? 0.002 : $due ? $NAP : $HOLD;
    my $news = select($readable, $writable, undef, $nap);
    return if $news < 0;
    $held = $news ? $held + 1 : $TURNS;
    feed_script() if $input && vec($writable, fileno $input, 1);
    for my $stream (1, 2) {
        pump($stream) if $script[$stream] && vec($readable, fileno $script[$stream], 1);
        send_piece($stream) if vec($writable, $stream, 1);
    }
    @wait = ("") x 3 if $lost;
    $held = 0 if !length $wait[1] && !length $wait[2];
    listen_on() if vec($readable, 0, 1);
    kill KILL => -$child if $asked && time - $asked > $GRACE;
}

# ---- the end

# What the script left in the background may hold its pipes for ever, and may go on writing: what is in them now is
# taken, no more.
sub take_rest {
    for my $stream (1, 2) {
        my $taken = 0;
        while ($script[$stream] && $taken < $PIPE_HOLDS) {
            vec(my $readable = "", fileno $script[$stream], 1) = 1;
            last if select($readable, undef, undef, 0) <= 0;
            $taken += pump($stream) || 0;
        }
        undef $script[$stream];
    }
    undef $input;
}

sub slurp_outputs {
    open(my $file, "<", $outputs) or return "";
    local $/;
    my $read = read($file, my $text, $OUTPUTS_LIMIT);
    close $file;
    unlink $outputs if $outputs ne "/dev/null";
    return $read ? $text : "";
}

# Nobody but the client waits for us here, so we may wait for it.
sub tell_end {
    $wait[1] .= record("E", $code) . slurp_outputs() . record("Z");
    $wait[2] .= record("Z");
    for my $stream (2, 1) {
        send_piece($stream) while !$lost && length $wait[$stream];
    }
}

exit 94 if defined $ENV{BASH_ENV};    # its words would be taken for the script's
# Handlers and not IGNORE, which the script would inherit.
$SIG{PIPE} = $SIG{CHLD} = sub { };
my $own = $$;
for my $name (qw(HUP INT TERM)) {
    next if ($SIG{$name} || "") eq "IGNORE";
    # A child that is not bash yet has this handler too.
    $SIG{$name} = sub { $$ != $own ? kill(KILL => $$) : $child ? stop() : go() };
}
$0 = "opsportal: waits for reading scripts";
while (1) {
    take_order();
    start();
    until (defined $code) { look(); reap() }
    take_rest();
    tell_end();
    go() if $asked || $lost;
    $child = 0;
}
