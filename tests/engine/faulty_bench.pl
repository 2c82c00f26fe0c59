#!/usr/bin/perl
# A llama-bench that computes nothing. Prints rows as asked for; at the given rate does something terrible instead.
# Says which on stderr, so that every record of it can be judged: "stub: fault NAME".
use strict;
use warnings;

$| = 1;
sub content { open(my $file, '<', "/app/$_[0]") or die; local $/; return scalar <$file>; }
if (grep { $_ eq '--help' } @ARGV) { print content('help.txt'); exit 0; }
if (grep { $_ eq '--version' } @ARGV) { print STDERR "version: 11312 (0c1e57098)\n"; exit 0; }

my (%given, $verbose);
while (defined(my $option = shift @ARGV)) {
    if ($option eq '-v') { $verbose = 1; } else { $given{$option} = shift @ARGV; }
}
my ($rate, @faults) = split ' ', content('faults.txt');
open(my $random, '<', '/dev/urandom') or die;
read($random, my $bytes, 8);
my ($chance, $which) = unpack 'L2', $bytes;
my $fault = @faults && $chance / 2**32 < $rate ? $faults[$which % @faults] : '';
print STDERR content('log.txt') if $verbose;
print STDERR "stub: fault $fault\n" if $fault;

sub endless { sleep 1 while 1; }
my %instead = (
    abort => sub { kill 'ABRT', $$; sleep 5; },
    segv => sub { kill 'SEGV', $$; sleep 5; },
    exit => sub { exit 3; },
    load => sub { print STDERR "llama_model_load: error loading model: invalid magic\n"; exit 1; },
    device_memory => sub { print STDERR "alloc_tensor_range: failed to allocate Stub0 buffer of size 9\n"; exit 1; },
    host_memory => sub { my @held; push @held, rand() . 'a' x $_ for (1 << 20) x 1024; endless(); },
    hang => sub { $SIG{TERM} = 'IGNORE'; endless(); },
    slow => sub { endless(); },
    empty => sub { exit 0; },
    forks => sub { while (defined(my $pid = fork)) { endless() if !$pid; } exit 5; },
    closed => sub { close STDOUT; close STDERR; sleep 1; exit 0; },
    pause => sub { sleep 6; },
    environment => sub { print STDERR "$_=$ENV{$_}\n" for sort keys %ENV; exit 4; },
);
$instead{$fault}->() if $instead{$fault};

if ($fault eq 'bytes') { print "\xff\xfe\0 \e[31m noise \x07\n"; print STDERR "\xc3\x28 \e]0;title\a\n"; }
if ($fault eq 'flood') { my $line = 'x' x 1023 . "\n"; print STDERR $line for 1 .. 12288; }
if ($fault eq 'orphans') { for (1 .. 5) { my $pid = fork; endless() if defined $pid && !$pid; } }

for my $depth (split /,/, $given{-d} // '0') {
    for my $test ((map { [$_, 0] } split /,/, $given{-p}), (map { [0, $_] } split /,/, $given{-n})) {
        next if !$test->[0] && !$test->[1];
        my $tokens = $test->[0] + $test->[1];
        my @ns = map { 1_000_000 * $tokens + 997 * $_ } 1 .. $given{-r};
        push @ns, $ns[0] if $fault eq 'samples';
        my @rates = map { sprintf '%.6f', 1e9 * $tokens / $_ } @ns;
        my $sum = 0;
        $sum += $_ for @rates;
        my $row = content('row.txt');
        my %value = (
            PROMPT => $test->[0], GEN => $test->[1], DEPTH => $depth, LAYERS => $given{-ngl}, THREADS => $given{-t},
            TYPEV => $fault eq 'parameters' ? 'q8_0' : $given{-ctv}, NS => join(', ', @ns), TS => join(', ', @rates),
            AVG => $fault eq 'nan' ? 'nan' : sprintf('%.6f', ($fault eq 'rates' ? 2 : 1) * $sum / @rates),
            FAULT => $fault,
        );
        $row =~ s/%([A-Z]+)%/$value{$1}/g;
        if ($fault eq 'cut') { print substr($row, 0, 300); exit 0; }
        print $row;
    }
}
