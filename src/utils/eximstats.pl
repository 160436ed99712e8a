#!@PERL_COMMAND@
# What went through Exim, as a text report from its main logs.
use strict;
use warnings;

my $USAGE = <<'TEXT';
Usage: eximstats [options] [<main log>...]
  -txt           text report (the only kind)
  -h<n>          histogram with n rows an hour; -h0: none (default 1; n divides 60)
  -ne            no errors            -nr            no relayed messages
  -nr/<regexp>/  no relayed messages that match
  -nt            no table of transports; -nt/<regexp>/: without those that match
  -q<list>       limits of the queue time table in seconds, -q0: none
  -t<n>          so many in the tables of hosts, senders, destinations (default 50; 0: none)
  -tnl           tables without local senders and destinations
  -byhost, -bydomain, -byemail, -byemaildomain
                 which tables of senders and destinations (default: hosts)
  -emptyok       no complaint about logs without messages
Not built: -html -xls -charts -chartdir -chartrel -merge -pattern -d -show_dt -show_rt
  -include_original_destination -t_remote_users
TEXT

my %set = (h => 1, t => 50, q => [60, 300, 900, 1800, 3600, 10800, 21600, 43200, 86400]);
my (%by, $no_relay, $no_transport);
while (@ARGV && $ARGV[0] =~ /^-(.+)/) {
    my $o = $1;
    shift @ARGV;
    last if $o eq '-';
    if ($o eq 'txt') { next }
    elsif ($o =~ /^h(\d+)$/ && ($1 == 0 || 60 % $1 == 0)) { $set{h} = $1 }
    elsif ($o =~ /^n(e|r|t)$/) { $set{"no_$1"} = 1 }
    elsif ($o =~ m{^n([rt])/(.+)/$}) {
        my $re = eval { qr/$2/ } or die "eximstats: -n$1: bad regular expression: $@";
        if ($1 eq 'r') { $no_relay = $re } else { $no_transport = $re }
    }
    elsif ($o eq 'q0') { $set{q} = [] }
    elsif ($o =~ /^q(\d+(?:,\d+)*)$/) { $set{q} = [split /,/, $1] }
    elsif ($o =~ /^t(\d+)$/) { $set{t} = $1 }
    elsif ($o eq 'tnl') { $set{tnl} = 1 }
    elsif ($o =~ /^by(host|domain|email|emaildomain)$/) { $by{$1} = 1 }
    elsif ($o eq 'emptyok') { $set{emptyok} = 1 }
    else { die "eximstats: option -$o is unknown or not built\n$USAGE" }
}
%by = (host => 1) if !%by;

my $ID = qr/\w{6}-\w{6}-\w\w/;
my (%received, %delivered, %transport, %errors, %relayed, %sent, %dest, %message, %seen);
my (@in_hour, @out_hour, @queue_all, @queue_remote, %failed, %delayed, %hosts, $first, $last);
my ($in_count, $in_bytes, $out_count, $out_bytes, $completed, $completed_remote) = (0) x 6;
my %out_message;
my %unit = (s => 1, m => 60, h => 3600, d => 86400, w => 604800);

sub field { my ($line, $name) = @_; return $line =~ /(?:^| )$name=(\S+)/ ? $1 : undef }

sub host_of
{
    my ($line) = @_;
    return 'local' if $line !~ / H=(\S+)(?: \((\S+?)\))?(?: \[([^\]]+)\])?/;
    my ($name, $address) = ($1, $3);
    return $name =~ /^\(|^\[/ ? $address // $name =~ s/[\[\]]//gr : $name;
}

sub address_parts
{
    my ($address) = @_;
    my ($domain) = $address =~ /\@([^@]+)$/;
    return (email => lc $address, domain => lc($domain // 'local'), emaildomain => lc($domain // 'local'));
}

sub slot { my ($stamp) = @_; my ($h, $m) = $stamp =~ / (\d\d):(\d\d)/; return int(($h * 60 + $m) * $set{h} / 60) }

sub add
{
    my (undef, $key, $bytes, $messages, $addresses) = @_;
    my $table = $_[0] ||= {};    # made in the caller
    $table->{$key}[0] += $messages;
    $table->{$key}[1] += $addresses;
    $table->{$key}[2] += $bytes;
    return;
}

sub arrival
{
    my ($id, $stamp, $line) = @_;
    my ($from) = $line =~ /^<= (\S+)/;
    my $size = field($line, 'S') // 0;
    my $host = host_of($line);
    $message{$id} = { size => $size, host => $host, from => $from, stamp => $stamp };
    $in_count++;
    $in_bytes += $size;
    $hosts{in}{$host} = 1;
    $in_hour[slot($stamp)]++ if $set{h};
    my %key = (host => $host, address_parts($from));
    $key{email} = 'local' if $from eq '<>';
    add($sent{$_}, $key{$_}, $size, 1, 0) for keys %by;
    my $user = field($line, 'U');
    add($sent{local}, $user, $size, 1, 0) if $host eq 'local' && defined $user;
    return;
}

sub delivery
{
    my ($id, $stamp, $line) = @_;
    my $m = $message{$id} || { size => 0, host => '?', from => '?' };
    my ($address) = $line =~ /^[=-]> (?:\S+ <([^>]+)>|\S+)/ ? ($1 // $line =~ s/^[=-]> (\S+).*/$1/sr) : '?';
    my $host = host_of($line);
    my $size = field($line, 'S') // $m->{size};
    my $more = $line =~ /^->/;    # another recipient of the same copy
    $out_count++;
    $out_bytes += $size if !$more;
    $out_message{$id} = 1;
    $hosts{out}{$host} = 1;
    $m->{remote} = 1 if $host ne 'local';
    $out_hour[slot($stamp)]++ if $set{h};
    my $name = field($line, 'T') // ':blackhole:';
    if (!defined $no_transport || $name !~ $no_transport) { $transport{$name}[0] += $more ? 0 : $size; $transport{$name}[1]++ }
    my %key = (host => $host, address_parts($address));
    add($dest{$_}, $key{$_}, $more ? 0 : $size, $seen{"$id $_ $key{$_}"}++ ? 0 : 1, 1) for keys %by;
    my ($user) = $line =~ /^[=-]> (\S+)/;
    add($dest{local}, $user, $size, 1, 1) if $host eq 'local' && defined $user;
    if ($host ne 'local' && $m->{host} ne 'local' && (!defined $no_relay || "$m->{host} $line" !~ $no_relay)) {
        $relayed{"H=$m->{host} A=$m->{from} => H=$host A=$address"}++;
    }
    return;
}

sub seconds_between
{
    my ($from, $to) = @_;
    require Time::Local;
    my @t = map { my ($y, $mo, $d, $h, $mi, $s) = /(\d+)-(\d+)-(\d+) (\d+):(\d+):(\d+)/;
        Time::Local::timegm($s, $mi, $h, $d, $mo - 1, $y) } $from, $to;
    return $t[1] - $t[0];
}

sub completion
{
    my ($id, $stamp, $line) = @_;
    my $m = delete $message{$id} or return;
    my $seconds = 0;
    if ($line =~ / QT=([\d.smhdw]+)/) { my $t = $1; $seconds += $1 * $unit{$2} while $t =~ /([\d.]+)([smhdw])/g }
    else { $seconds = seconds_between($m->{stamp}, $stamp) }
    my $row = 0;
    $row++ while $row < @{ $set{q} } && $seconds >= $set{q}[$row];
    $queue_all[$row]++;
    $completed++;
    if ($m->{remote}) { $queue_remote[$row]++; $completed_remote++ }
    return;
}

sub take
{
    my ($line) = @_;
    chomp $line;
    my ($stamp, $id, $rest) =
        $line =~ /^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:\.\d+)?(?: [-+]\d{4})? (?:\[\d+\] )?($ID) (.*)$/ or return;
    $first = $stamp if !defined $first || $stamp lt $first;
    $last = $stamp if !defined $last || $stamp gt $last;
    if ($rest =~ /^<= /) { arrival($id, $stamp, $rest) }
    elsif ($rest =~ /^[=-]> /) { delivery($id, $stamp, $rest) }
    elsif ($rest =~ /^== /) { $delayed{$id} = 1 }
    elsif ($rest =~ /^\*\* (.*)/) { $failed{$id} = 1; $errors{$1}++ }
    elsif ($rest =~ /^Completed/) { completion($id, $stamp, $rest) }
    return;
}

sub volume { my ($n) = @_; return $n < 10000 ? $n : $n < 10000 * 1024 ? int($n / 1024 + 0.5) . 'KB' : int($n / 1024**2 + 0.5) . 'MB' }
sub heading { my ($text) = @_; print "\n$text\n", '-' x length $text, "\n"; return }
sub share { my ($n) = @_; return sprintf '%6d %5.1f%%', $n, $in_count ? 100 * $n / $in_count : 0 }

sub print_totals
{
    heading('Grand total summary');
    printf "%77s\n", 'At least one address';
    printf "%-14s %13s %10s %9s %9s %13s %13s\n", '  TOTAL', qw(Volume Messages Addresses Hosts Delayed Failed);
    printf "%-14s %13s %10d %9s %9d %13s %13s\n", '  Received', volume($in_bytes), $in_count, '',
        scalar keys %{ $hosts{in} || {} }, share(scalar keys %delayed), share(scalar keys %failed);
    printf "%-14s %13s %10d %9d %9d\n", '  Delivered', volume($out_bytes), scalar keys %out_message, $out_count,
        scalar keys %{ $hosts{out} || {} };
    return;
}

sub print_transports
{
    heading('Deliveries by transport');
    printf "%-20s %13s %10s\n", '', 'Volume', 'Messages';
    printf "  %-18s %13s %10d\n", $_, volume($transport{$_}[0]), $transport{$_}[1] for sort keys %transport;
    return;
}

sub print_histogram
{
    my ($what, $one, @count) = @_;
    my $rows = 24 * $set{h};
    my ($most) = sort { $b <=> $a } map { $count[$_] // 0 } 0 .. $rows - 1;
    my $dot = int(($most + 49) / 50) || 1;
    heading("$what per hour (each dot is $dot $one" . ($dot > 1 ? $one =~ /y$/ ? ')' : 's)' : ')'));
    for my $row (0 .. $rows - 1) {
        my $n = $count[$row] // 0;
        my @at = map { $_ * 60 / $set{h} } $row, $row + 1;
        my $name = $set{h} == 1 ? sprintf('%02d-%02d', $row, $row + 1)
            : sprintf('%02d:%02d-%02d:%02d', map { int($_ / 60), $_ % 60 } @at);
        printf "%s %6d %s\n", $name, $n, '.' x int($n / $dot);
    }
    return;
}

sub time_text { my ($s) = @_; return $s % 3600 == 0 ? $s / 3600 . 'h' : $s % 60 == 0 ? $s / 60 . 'm' : "${s}s" }

sub print_queue_times
{
    my ($title, $total, @count) = @_;
    heading("Time spent on the queue: $title");
    my $sum = 0;
    for my $row (grep { $count[$_] } 0 .. $#count) {
        $sum += $count[$row];
        my $over = $row == @{ $set{q} };
        printf "%-5s %6s  %8d %5.1f%%  %5.1f%%\n", $over ? 'Over' : 'Under', time_text($set{q}[$over ? $row - 1 : $row]),
            $count[$row], 100 * $count[$row] / $total, 100 * $sum / $total;
    }
    return;
}

sub print_top
{
    my ($table, $column, $title, $with_addresses) = @_;
    for my $order (['message count', 0], ['volume', 2]) {
        my @keys = sort { $table->{$b}[ $order->[1] ] <=> $table->{$a}[ $order->[1] ] || $a cmp $b } keys %$table;
        splice @keys, $set{t} if @keys > $set{t};
        heading("Top $set{t} $title by $order->[0]");
        printf "%9s%s %10s %10s   %s\n", 'Messages', $with_addresses ? '  Addresses' : '', 'Bytes', 'Average', $column;
        for my $key (@keys) {
            my ($n, $addresses, $bytes) = @{ $table->{$key} };
            printf "%9d%s %10s %10s   %s\n", $n, $with_addresses ? sprintf(' %10d', $addresses) : '',
                volume($bytes), volume($n ? int($bytes / $n) : 0), $key;
        }
    }
    return;
}

sub print_counts
{
    my ($title, $none, $last_words, $table) = @_;
    if (!%$table) { heading($none); return }
    heading($title);
    my $sum = 0;
    for my $key (sort keys %$table) { printf "%5d %s\n", $table->{$key}, $key; $sum += $table->{$key} }
    heading("$last_words: $sum");
    return;
}

for my $name (@ARGV ? @ARGV : '-') {
    my $log;
    if ($name eq '-') { $log = \*STDIN }
    elsif ($name =~ /\.(?:gz|\Q@COMPRESS_SUFFIX@\E)$/) { open($log, '-|', '@ZCAT_COMMAND@', '--', $name) or die "eximstats: $name: $!\n" }
    else { open($log, '<', $name) or die "eximstats: cannot read $name: $!\n" }
    take($_) while <$log>;
    close($log) or die "eximstats: error reading $name\n" if $name ne '-';
}
if (!defined $first) {
    print "**** No valid log lines read\n";
    exit($set{emptyok} ? 0 : 1);
}

print "\nExim statistics from $first to $last\n";
print_totals();
print_transports() if !$set{no_t};
if ($set{h}) {
    print_histogram('Messages received', 'message', @in_hour);
    print_histogram('Deliveries', 'delivery', @out_hour);
}
if (@{ $set{q} }) {
    print_queue_times('all messages', $completed, @queue_all);
    print_queue_times('messages with at least one remote delivery', $completed_remote, @queue_remote);
}
print_counts('Relayed messages', 'No relayed messages', 'Total relayed', \%relayed) if !$set{no_r};
if ($set{t}) {
    my %name = (host => 'host', domain => 'domain', email => 'email', emaildomain => 'email domain');
    print_top($sent{$_} || {}, "Sending $name{$_}", "sending $name{$_}s", 0) for grep { $by{$_} } sort keys %name;
    print_top($sent{local} || {}, 'Local sender', 'local senders', 0) if !$set{tnl};
    print_top($dest{$_} || {}, ucfirst "$name{$_} destination", "$name{$_} destinations", 1) for grep { $by{$_} } sort keys %name;
    print_top($dest{local} || {}, 'Local destination', 'local destinations', 1) if !$set{tnl};
}
print_counts('List of errors', 'No errors', 'Errors encountered', \%errors) if !$set{no_e};
