# Prints what fish completes at the end of each line of stdin, behind that line.
source packaging/completions/ipvsadm.fish
while read --local --line line
    echo "> $line"
    complete -C "$line" | string replace -r '\t.*' ''
end
