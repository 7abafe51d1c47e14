# The guard in Perl: `run` as one process, for targets that have it. The same directory, the same records and the
# same promises as run.sh, keeper.sh and front.sh, so that `reclaim` need not know which of the two was at work.
#
# Built-ins alone: loading POSIX or Digest::SHA takes longer than everything that is done here. So there are
# numbers where a module would have names. Nothing here changes umask, directory, locale or signals of the login.
#
# Everything is one loop: the script's pipes are emptied into files as fast as it writes, the channel gets what
# it takes without making us wait, and a lost channel changes nothing but that.

# Package variables, because seldom.pl is compiled later and shares them.
our ($buffer, $nonce, $script, $seldom);
our ($EINTR, $WNOHANG, $READ_AT_ONCE, $OUTPUTS_LIMIT) = (4, 1, 65536, 65537);
our ($BATCH, $ENOUGH) = (2, 32768);    # hundredths of a second between two small pieces; bytes that do not wait
our $PIPE_HOLDS = 262144;
our %SETSID = (62 => 112, 183 => 157);    # the call's number, by the machine that perl is built for
our (%order, $dir, $boot, $payload, $above, $mine, $home, $child, $code, $scope);
our ($deadline, $checked, $connected) = (0, 16777216, 1);
our (@script, @file, @reading);        # by stream, 1 or 2: the script's pipe, what we write, what we send from
our (@size, @sent, @last, @wait);
our @channel = (undef, \*STDOUT, \*STDERR);
our ($script_input, $stop, $left, $ended, $reaped_at);

sub slurp {
    open(my $file, "<", shift) or return "";
    local $/;
    my $text = <$file>;
    return defined $text ? $text : "";
}

sub spit {
    my ($path, $text) = @_;
    open(my $file, ">", $path) or return 0;
    my $written = syswrite($file, $text);
    return defined $written && $written == length $text;
}

# Hundredths of a second since boot: no clock change can move it.
sub clock {
    my ($seconds, $hundredths) = slurp("/proc/uptime") =~ /^(\d+)\.(\d\d)/;
    return $seconds * 100 + $hundredths;
}

# State, parent, group, session and start time of a process. The name in the middle may hold anything.
sub process {
    my ($fields) = slurp("/proc/$_[0]/stat") =~ /.*\) (.*)/s or return;
    my @fields = split ' ', $fields;
    return @fields[0, 1, 2, 3, 19];
}

sub record { return "\036$nonce @_\n" }

sub refuse {
    syswrite(STDOUT, record("REFUSED", $_[0]));
    exit 0;
}

# ---- the order

sub take_line {
    my $at;
    while (($at = index($buffer, "\n")) < 0) {
        sysread(STDIN, $buffer, $READ_AT_ONCE, length $buffer) or refuse("header");
    }
    my $line = substr($buffer, 0, $at + 1, "");
    chop $line;
    return $line;
}

# Three lines. The stop at the end of the first shows that it came whole.
sub read_header {
    my @words = split / /, take_line(), -1;
    my ($spool, $forget) = (take_line(), take_line());
    my @names = qw(op attempt installation spool_id detach length hash timeout grace limit out_at err_at become stop);
    @words == @names or refuse("header");
    @order{@names} = @words;
    $order{stop} eq "." && $order{op} eq "run" && $order{attempt} =~ /^[0-9a-f]{32}$/ or refuse("header");
    $order{hash} =~ /^[0-9a-f]{64}$/ && $order{detach} =~ /^(?:scope|session)$/ or refuse("header");
    for my $word (@order{qw(installation spool_id)}) { $word =~ /^[0-9A-Za-z_.-]+$/ or refuse("header") }
    for my $number (@order{qw(length timeout grace limit)}) { $number =~ /^[0-9]+$/ or refuse("header") }
    $spool =~ m{^/[0-9A-Za-z_./-]*$} && $spool !~ m{/\.\.(?:/|$)} or refuse("header");
    @order{qw(spool forget)} = ($spool, $forget);
    $dir = "$spool/attempts/$order{attempt}";
    # Ours, so that sudo speaks English; the script must not see it.
    delete $ENV{LC_ALL} if $order{become} eq "yes" && ($ENV{LC_ALL} || "") eq "C";
}

# Containers share the kernel's boot id, so the start of process 1 belongs to the identity.
sub identify {
    my ($id) = slurp("/proc/sys/kernel/random/boot_id") =~ /^(\S+)/;
    my $first = (process(1))[4] || 0;
    my ($up) = slurp("/proc/uptime") =~ /^(\S+)/;
    $boot = ($id || "none") . ".$first";
    syswrite(STDOUT, record("HELLO", $boot, $first, $up || 0));
}

sub take_payload {
    while (length $buffer < $order{length}) {
        sysread(STDIN, $buffer, $READ_AT_ONCE, length $buffer) or refuse("upload");
    }
    $payload = substr($buffer, 0, $order{length}, "");
    pipe(my $from, my $to) && pipe(my $answer, my $say) or refuse("upload");
    my $summing = fork;
    defined $summing or refuse("upload");
    if (!$summing) {
        open(STDIN, "<&", $from) && open(STDOUT, ">&", $say) && exec "sha256sum";
        kill KILL => $$;
    }
    close $from;
    close $say;
    syswrite($to, $payload);
    close $to;
    my $sum = <$answer>;
    waitpid $summing, 0;
    defined $sum && substr($sum, 0, 64) eq $order{hash} or refuse("upload");
}

# A directory of ours, no link, with the id that was recorded: then it is the spool that was probed.
sub own { return -d $_[0] && !-l $_[0] && -O $_[0] }

sub make_attempt {
    my $spool = $order{spool};
    own($spool) && own("$spool/attempts") or refuse("spool.missing");
    my ($id) = slurp("$spool/id") =~ /^(\S+)\n/ or refuse("spool.missing");
    $id eq $order{spool_id} or refuse("spool.changed");
    my $mask = umask 077;
    mkdir $dir, 0700 or refuse(-d $dir ? "exists" : "spool.full");
    umask $mask;
    for my $name (qw(out err output)) { spit("$dir/$name", "") or refuse("spool.full") }
}

# ---- the script

# Unlike handlers, what the login ignores is handed on to the script; so it is left as it is.
sub catch_signals {
    for my $name (qw(HUP INT QUIT TERM PIPE)) {
        $SIG{$name} = sub { } unless ($SIG{$name} || "") eq "IGNORE";
    }
    $SIG{CHLD} = sub { };    # ends our select
}

sub start {
    $deadline = clock() + $order{timeout} * 100;
    ($home, $mine) = (process($$))[3, 4];
    find_scope() if $order{detach} eq "scope";
    for my $stream (1, 2) {
        my $path = "$dir/" . ($stream == 1 ? "out" : "err");
        open($file[$stream], ">>", $path) && open($reading[$stream], "<", $path) or refuse("spool.full");
        ($size[$stream], $sent[$stream], $last[$stream]) = (0, 0, 0);
    }
    spit("$dir/running", "$$ $mine $boot " . fileno($file[1]) . " " . fileno($file[2]) . "\n")
        or refuse("spool.full");
    pipe(my $input, $script_input) && pipe($script[1], my $out) && pipe($script[2], my $err)
        or refuse("spool.full");
    # F_SETPIPE_SZ: who writes very much fills it while we do something else. Where it is refused all goes on.
    fcntl($script[1], 1031, $PIPE_HOLDS);
    # The last act before the script: of this and a fence, only one can be.
    mkdir "$dir/start" or withdraw("fenced");
    $child = fork;
    defined $child or withdraw("keeper");
    become_script($input, $out, $err) if !$child;
    # Each other end is closed here with its name; the script's pipes end when the script's do.
}

# Nothing was started, and with `start` made nothing can be.
sub withdraw {
    rename "$dir/running", "$dir/fenced";
    refuse($_[0]);
}

sub become_script {
    my ($input, $out, $err) = @_;
    delete $ENV{BASH_ENV};
    $ENV{OPSPORTAL_ATTEMPT} = $order{attempt};
    $ENV{OPSPORTAL_OUTPUT} = "$dir/output";
    my @bash = ("bash", "--norc", "-c", $script, "bash");
    open(STDIN, "<&", $input) && open(STDOUT, ">&", $out) && open(STDERR, ">&", $err)
        && (lead_session() ? exec @bash : exec "setsid", @bash);
    kill KILL => $$;
}

# setsid(2), where its number is sure: the program setsid costs as much as starting bash once more.
sub lead_session {
    open(my $perl, "<", "/proc/self/exe") or return 0;
    sysread($perl, my $elf, 20) == 20 or return 0;
    my ($bits, $machine) = unpack "x4 C x13 v", $elf;
    my $number = $SETSID{$machine};
    return $bits == 2 && $number && syscall($number) == $$;
}

# What the script wrote goes into the files. On a full disk it is lost, but the script does not die of it.
sub pump {
    my $stream = shift;
    my $got = sysread($script[$stream], my $data, $READ_AT_ONCE);
    return if !defined $got;
    if (!$got) { undef $script[$stream]; return }
    my $written = syswrite($file[$stream], $data);
    return if !defined $written;
    # What is enough to be sent goes on as it is, when all before it is on its way; else it is read back later.
    if ($connected && $written >= $ENOUGH && $written == $got && !length $wait[$stream]
        && $sent[$stream] == $size[$stream])
    {
        ($wait[$stream], $sent[$stream]) = ($data, $sent[$stream] + $written);
        sysseek($reading[$stream], $sent[$stream], 0);
    }
    $size[$stream] += $written;
}

sub feed_script {
    my $fed = syswrite($script_input, $payload, 4096);
    return if !defined $fed && $! + 0 == $EINTR;
    substr($payload, 0, $fed, "") if $fed;
    return if $fed && length $payload;
    undef $script_input;
    $payload = "";
}

sub reap {
    return if defined $code || waitpid($child, $WNOHANG) != $child;
    $code = $? & 127 ? 128 + ($? & 127) : $? >> 8;
    $reaped_at = clock();
}

# ---- the channel

# Nobody listens any more. The shell above waits for us; without a client there is nothing to wait for.
sub lose_channel {
    return if !$connected;
    $connected = 0;
    open($_, "+<", "/dev/null") for \*STDIN, \*STDOUT, \*STDERR;
    kill USR1 => $above if getppid() == $above;
}

sub take_wishes {
    my $got = sysread(STDIN, $buffer, 4096, length $buffer);
    return if !defined $got && $! + 0 == $EINTR;
    return lose_channel() if !$got;
    while ($buffer =~ s/^(.*)\n//) {
        stop_running("cancelled") if $1 eq "$nonce cancel";
        stop_running("timed_out") if $1 eq "$nonce expire";
    }
}

# Small pieces are held for a moment, so that a script that writes line by line does not cost a packet each.
# True when something is held.
sub fill {
    my ($stream, $now) = @_;
    my $unsent = $size[$stream] - $sent[$stream];
    return 0 if !$unsent || length $wait[$stream];
    return 1 if $unsent < $ENOUGH && $now - $last[$stream] < $BATCH && !defined $code;
    my $got = sysread($reading[$stream], $wait[$stream], $unsent < $READ_AT_ONCE ? $unsent : $READ_AT_ONCE);
    $sent[$stream] += $got || 0;
    $last[$stream] = $now;
    return 0;
}

# As much as surely does not make us wait: a writable pipe takes 4096 bytes (PIPE_BUF), a socket much more.
sub send_piece {
    my $stream = shift;
    my $sent = syswrite($channel[$stream], $wait[$stream], -S $channel[$stream] ? $READ_AT_ONCE : 4096);
    if (defined $sent) { substr($wait[$stream], 0, $sent, "") }
    elsif ($! + 0 != $EINTR) { lose_channel() }
}

# ---- stopping

# What few scripts need is compiled when it is needed: that takes longer than to run it.
sub AUTOLOAD {
    my $name = our $AUTOLOAD;
    eval $seldom;
    die $@ if $@;
    goto &$name;
}

# Of this, the script's own end and another's wish, only one can win.
sub stop_running { rename "$dir/running", "$dir/stopping.$_[0]" }

sub stopping {
    for my $how (qw(cancelled timed_out output_limit)) { return $how if -e "$dir/stopping.$how" }
    return;
}

# Only a script that itself wrote much can be ended for a full disk; else none could be used to clean one up.
sub wrote_too_much {
    my $sum = $size[1] + $size[2];
    return 1 if $sum > $order{limit};
    return 0 if $sum <= $checked;
    $checked = $sum + 1048576;
    return disk_is_full();
}

sub watch {
    if (-e "$dir/running") {
        stop_running("timed_out") if clock() >= $deadline;
        stop_running("output_limit") if wrote_too_much();
    }
    go_on_stopping() if $stop || !-e "$dir/running" && defined stopping();
}

# ---- the end

# What got away, or a daemon that the script means to leave, may hold the pipes open for ever.
sub pipes_over {
    return 1 if !$script[1] && !$script[2];
    return clock() - $reaped_at >= 20;
}

# Without the session's file the script's shell never came as far as the script: then its code means nothing.
# Somebody may be stopping it: then the end is true only when nothing is left.
sub record_end {
    my $how = -e "$dir/session" ? "ended" : "lost_guard";
    if (!$stop && rename "$dir/running", "$dir/exit.$code.$how") { announce($how) }
    elsif (defined($how = stopping())) {
        go_on_stopping();
        $stop->{over} && rename("$dir/stopping.$how", "$dir/exit.$code.$how") && announce($how);
    }
    else { exit 93 }    # the directory is gone, and with it all that could be told
}

sub announce {
    my $how = shift;
    my @end = ($how, $how eq "lost_guard" ? "-" : $code, $size[1], $size[2], $left || "-", "no");
    $ended = record("OUTPUTS") . substr(slurp("$dir/output"), 0, $OUTPUTS_LIMIT) . record("END", @end);
    fill_to_end() if $connected;
}

# All that is unsent, then the end; here nobody waits for us but the client, so we may wait for it.
sub fill_to_end {
    for my $stream (2, 1) {
        while ($connected && (length $wait[$stream] || $sent[$stream] < $size[$stream])) {
            fill($stream, 0);
            my ($wish, $ready) = ("", "");
            vec($wish, 0, 1) = vec($ready, $stream, 1) = 1;
            next if select($wish, $ready, undef, undef) < 0;
            send_piece($stream) if vec($ready, $stream, 1);
            take_wishes() if vec($wish, 0, 1);
        }
    }
    my $sent = 0;
    while ($connected && $sent < length $ended) {
        my $more = syswrite(STDOUT, $ended, length($ended) - $sent, $sent);
        if (defined $more) { $sent += $more }
        elsif ($! + 0 != $EINTR) { lose_channel() }
    }
}

# ---- all of it

sub look {
    my $now = shift;
    my ($readable, $writable) = ("", "");
    my $held = 0;
    vec($readable, 0, 1) = 1 if $connected;
    vec($writable, fileno $script_input, 1) = 1 if $script_input;
    for my $stream (1, 2) {
        vec($readable, fileno $script[$stream], 1) = 1 if $script[$stream];
        next if !$connected;
        $held ||= fill($stream, $now);
        vec($writable, $stream, 1) = 1 if length $wait[$stream];
    }
    my $nap = $held || $stop ? 0.02 : defined $code ? 0.05 : 0.25;
    return if select($readable, $writable, undef, $nap) < 0;
    feed_script() if $script_input && vec($writable, fileno $script_input, 1);
    for my $stream (1, 2) {
        pump($stream) if $script[$stream] && vec($readable, fileno $script[$stream], 1);
        send_piece($stream) if $connected && vec($writable, $stream, 1);
    }
    take_wishes() if $connected && vec($readable, 0, 1);
}

read_header();
identify();
$above = $$;
my $login_has = $SIG{USR1} || "DEFAULT";
# How lose_channel() asks the one above to go. It must end by itself: of a child that was killed, a shell says so,
# and that would stand behind the script's last words.
$SIG{USR1} = sub { exit 0 };
my $keeper = fork;
defined $keeper or exit 93;
if ($keeper) { waitpid $keeper, 0; exit 0 }
$SIG{USR1} = $login_has;
catch_signals();
grep { -x "$_/bash" } split /:/, $ENV{PATH} || "" or refuse("interpreter.missing");
take_payload();
make_attempt();
start();
@wait = ("", (record("BEGIN")) x 2);
my $watched = 0;
until ($ended) {
    my $now = clock();
    look($now);
    reap();
    if ($now - $watched >= 10 || $stop) { watch(); $watched = $now }
    record_end() if defined $code && pipes_over();
}
forget_old() if $order{forget} ne "-";
exit 0 if !$script[1] && !$script[2];
lose_channel();
while ($script[1] || $script[2]) { look(clock()) }
exit 0;
