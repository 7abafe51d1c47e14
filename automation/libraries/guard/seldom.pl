# The guard in Perl, the part that most scripts never need: stopping, scopes, full disks, tidying up.

# What is in a directory; glob would load a module.
sub names {
    opendir(my $directory, shift) or return;
    return grep { $_ ne "." && $_ ne ".." } readdir $directory;
}

sub find_scope {
    my ($path) = slurp("/proc/self/cgroup") =~ m{^[^:]*:[^:]*:(.*opsportal-$order{attempt}\.scope)$}m or return;
    for my $root (qw(/sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/systemd)) {
        return $scope = "$root$path" if -r "$root$path/cgroup.procs";
    }
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

# Below a tenth of free space.
sub disk_is_full {
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

1;
