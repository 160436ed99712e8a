#!@PERL_COMMAND@
# Reads a queue listing (exim -bp) and sums it up by the recipients' domains.
# Usage: exim -bp | exiqsumm [-a | -c] [-s]
use strict;
use warnings;
use Getopt::Std;

my %option;
if (!getopts('acs', \%option) || @ARGV) {
    die "Usage: exim -bp | exiqsumm [-a | -c] [-s]\n"
        . "  -a  by the age of the oldest message\n  -c  by the number of messages\n"
        . "  -s  one row for each pair of sender's and recipient's domain\n";
}

my %seconds = (m => 60, h => 3600, d => 86400, w => 604800);
my %bytes = ('' => 1, K => 1024, M => 1024**2, G => 1024**3);

sub seconds { my ($n, $unit) = $_[0] =~ /^(\d+)([mhdw])$/ or return 0; return $n * $seconds{$unit}; }
sub bytes { my ($n, $unit) = $_[0] =~ /^([\d.]+)([KMG]?)$/ or return 0; return $n * $bytes{$unit}; }

sub size_text
{
    my ($n) = @_;
    return $n < 10240 ? int($n) : $n < 10 * 1024**2 ? int($n / 1024 + 0.5) . 'K' : int($n / 1024**2 + 0.5) . 'M';
}

sub domain { my ($address) = @_; return $address =~ /\@([^>@]+)>?$/ ? lc $1 : '-'; }

my (%row, $age, $size, $from, %counted);
while (my $line = <STDIN>) {
    chomp $line;
    if ($line =~ /^\s*(\d+[mhdw])\s+(\S+)\s+\w{6}-\w{6}-\w\w(?:-H)?\s+(?:\([^)]*\)\s+)?<(.*?)>/) {
        ($age, $size, $from, %counted) = ($1, $2, $3);
    } elsif ($line =~ /^\s+(?!D )(\S.*)$/ && defined $age) {
        my $key = $option{s} ? domain($from) . ' ' . domain($1) : domain($1);
        my $r = $row{$key} ||= { count => 0, volume => 0, oldest => $age, newest => $age };
        next if $counted{$key}++;    # one message counts once for a domain
        $r->{count}++;
        $r->{volume} += bytes($size);
        $r->{oldest} = $age if seconds($age) > seconds($r->{oldest});
        $r->{newest} = $age if seconds($age) < seconds($r->{newest});
    }
}

my @keys = sort keys %row;
@keys = sort { $row{$b}{count} <=> $row{$a}{count} || $a cmp $b } @keys if $option{c};
@keys = sort { seconds($row{$b}{oldest}) <=> seconds($row{$a}{oldest}) || $a cmp $b } @keys if $option{a};

my %total = (count => 0, volume => 0);
my ($oldest, $newest) = ('0m', undef);
printf "\n%5s  %6s  %6s  %6s  %s\n", qw(Count Volume Oldest Newest), $option{s} ? 'Sender Domain' : 'Domain';
printf "%5s  %6s  %6s  %6s  %s\n\n", '-----', ('------') x 4;
for my $key (@keys) {
    my $r = $row{$key};
    printf "%5d  %6s  %6s  %6s  %s\n", $r->{count}, size_text($r->{volume}), @$r{qw(oldest newest)}, $key;
    $total{$_} += $r->{$_} for qw(count volume);
    $oldest = $r->{oldest} if seconds($r->{oldest}) > seconds($oldest);
    $newest = $r->{newest} if !defined $newest || seconds($r->{newest}) < seconds($newest);
}
print "---------------------------------------------------------------\n";
printf "%5d  %6s  %6s  %6s  %s\n", $total{count}, size_text($total{volume}), $oldest, $newest // '0m', 'TOTAL';
