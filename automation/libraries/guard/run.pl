# The guard in Perl: `run` as one process, for targets that have it. The same directory, the same records and the
# same promises as run.sh, keeper.sh and front.sh, so that `reclaim` need not know which of the two was at work.
#
# Built-ins alone: loading POSIX or Digest::SHA takes longer than everything that is done here. So there are
# numbers where a module would have names. Nothing here changes umask, directory, locale or signals of the login.
#
# Everything is one loop: the script's pipes are emptied into files as fast as it writes, the channel gets what
# it takes without making us wait, and a lost channel changes nothing but that.

our ($buffer, $nonce);
my ($EINTR, $WNOHANG, $READ_AT_ONCE, $OUTPUTS_LIMIT) = (4, 1, 65536, 65537);
my ($BATCH, $ENOUGH) = (2, 32768);    # hundredths of a second between two small pieces; bytes that do not wait
my (%order, $dir, $boot, $payload, $above, $mine, $home, $child, $code, $scope);
my ($deadline, $checked, $connected) = (0, 16777216, 1);
my (@script, @file, @reading);        # by stream, 1 or 2: the script's pipe, what we write, what we send from
my (@size, @sent, @last) = ();
my @channel = (undef, \*STDOUT, \*STDERR);
my @wait = ("", "", "");
my ($script_input, $stop, $left, $ended, $reaped_at);

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

# What is in a directory; glob would load a module.
sub names {
    opendir(my $directory, shift) or return;
    return grep { $_ ne "." && $_ ne ".." } readdir $directory;
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

sub find_scope {
    return if $order{detach} ne "scope";
    my ($path) = slurp("/proc/self/cgroup") =~ m{^[^:]*:[^:]*:(.*opsportal-$order{attempt}\.scope)$}m or return;
    for my $root (qw(/sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/systemd)) {
        return $scope = "$root$path" if -r "$root$path/cgroup.procs";
    }
}

sub start {
    $deadline = clock() + $order{timeout} * 100;
    ($home, $mine) = (process($$))[3, 4];
    find_scope();
    for my $stream (1, 2) {
        my $path = "$dir/" . ($stream == 1 ? "out" : "err");
        open($file[$stream], ">>", $path) && open($reading[$stream], "<", $path) or refuse("spool.full");
        ($size[$stream], $sent[$stream], $last[$stream]) = (0, 0, 0);
    }
    spit("$dir/running", "$$ $mine $boot " . fileno($file[1]) . " " . fileno($file[2]) . "\n")
        or refuse("spool.full");
    pipe(my $input, $script_input) && pipe($script[1], my $out) && pipe($script[2], my $err)
        or refuse("spool.full");
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
    open(STDIN, "<&", $input) && open(STDOUT, ">&", $out) && open(STDERR, ">&", $err)
        && exec "setsid", "bash", "--norc", "-c", $main::script, "bash";
    kill KILL => $$;
}

# What the script wrote goes into the files. On a full disk it is lost, but the script does not die of it.
sub pump {
    my $stream = shift;
    my $got = sysread($script[$stream], my $data, $READ_AT_ONCE);
    return if !defined $got;
    if (!$got) { undef $script[$stream]; return }
    my $written = syswrite($file[$stream], $data);
    $size[$stream] += $written if defined $written;
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
    kill KILL => $above if getppid() == $above;
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

# Of this, the script's own end and another's wish, only one can win.
sub stop_running { rename "$dir/running", "$dir/stopping.$_[0]" }

sub stopping {
    for my $how (qw(cancelled timed_out output_limit)) { return $how if -e "$dir/stopping.$how" }
    return;
}

sub processes { return grep { /^\d+$/ } names("/proc") }

# Processes of the script that still live: all of its session, and of its scope but us.
sub members {
    my %in_scope = map { $_ => 1 } $scope ? split(' ', slurp("$scope/cgroup.procs")) : ();
    my @found;
    for my $pid (processes()) {
        my ($state, undef, undef, $session, $began) = process($pid) or next;
        next if $state eq "Z" || $began < $mine || $session == $home;
        push @found, $pid if $session == $child || $in_scope{$pid};
    }
    return @found;
}

# What carries this attempt's mark in its environment: names and pids, for people.
sub marked {
    my @found;
    for my $pid (processes()) {
        slurp("/proc/$pid/environ") =~ /(?:^|\0)OPSPORTAL_ATTEMPT=$order{attempt}(?:\0|$)/ or next;
        my ($state) = process($pid) or next;
        next if $state eq "Z";
        (my $name = slurp("/proc/$pid/comm")) =~ s/\n\z//;
        $name =~ tr/A-Za-z0-9_.-/?/c;
        push @found, "$name:$pid";
    }
    return join ",", @found;
}

# TERM, grace, KILL until nothing is left; then name what got away. It may be a moment before the script's shell
# is there to be stopped; on a full disk it cannot say so.
sub go_on_stopping {
    my $now = clock();
    $stop ||= {asked => $now};
    return if $stop->{over};
    if (!$stop->{until}) {
        return if !-s "$dir/session" && !defined $code && $now - $stop->{asked} < 100;
        $stop->{until} = $now + $order{grace} * 100;
        my @members = members();
        kill TERM => @members;
        kill CONT => @members;
        return;
    }
    my @members = members();
    if (@members) {
        kill KILL => @members if $now >= $stop->{until};
        return;
    }
    return if !defined $code;
    $left = marked();
    spit("$dir/left", "$left\n") if $left;
    $stop->{over} = 1;
}

# Only a script that itself wrote much can be ended for a full disk; else none could be used to clean one up.
sub wrote_too_much {
    my $sum = $size[1] + $size[2];
    return 1 if $sum > $order{limit};
    return 0 if $sum <= $checked;
    $checked = $sum + 1048576;
    pipe(my $answer, my $say) or return 0;
    my $asking = fork;
    return 0 if !defined $asking;
    if (!$asking) {
        open(STDOUT, ">&", $say) && exec "stat", "-f", "-c", "%a %b", $dir;
        kill KILL => $$;
    }
    close $say;
    my ($free, $all) = split ' ', <$answer> || "";
    waitpid $asking, 0;
    return $all && $free * 10 < $all;
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

# What a caller no longer needs; never one that is still at work.
sub forget_old {
    for my $attempt (split ' ', $order{forget}) {
        my $old = "$order{spool}/attempts/$attempt";
        next if $attempt !~ /^[0-9a-f]{32}$/ || grep { /^(?:running$|stopping)/ } names($old);
        unlink map { "$old/start/$_" } names("$old/start");
        rmdir "$old/start";
        unlink map { "$old/$_" } names($old);
        rmdir $old;
    }
}

# ---- all of it

sub look {
    my $now = clock();
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
my $keeper = fork;
defined $keeper or exit 93;
if ($keeper) { waitpid $keeper, 0; exit 0 }
catch_signals();
grep { -x "$_/bash" } split /:/, $ENV{PATH} || "" or refuse("interpreter.missing");
take_payload();
make_attempt();
start();
@wait = ("", (record("BEGIN")) x 2);
my $watched = 0;
until ($ended) {
    look();
    reap();
    my $now = clock();
    if ($now - $watched >= 10 || $stop) { watch(); $watched = $now }
    record_end() if defined $code && pipes_over();
}
forget_old();
exit 0 if !$script[1] && !$script[2];
lose_channel();
while ($script[1] || $script[2]) { look() }
exit 0;
