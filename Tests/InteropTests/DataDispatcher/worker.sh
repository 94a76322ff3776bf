#!/bin/bash
# The worker of Data Dispatcher's documentation: reserves a file, processes it, gives it back, until the project is done.
#   worker.sh PROJECT SITE [LIVES]    with LIVES it dies with its LIVES-th file in hand
# A file whose number ends in 3 fails when it is first tried, one with a 7 behind an even digit for good.
project=$1 site=$2 lives=${3:-0} count=0
ddisp worker id "$(basename "$PWD")" >/dev/null || exit 1
while true; do
    out=$(ddisp worker next -j file_info.json -c "$site" -t 60 "$project")
    if [ $? -eq 0 ]; then
        count=$((count + 1))
        [ "$count" -eq "$lives" ] && kill -9 $$
        number=$((10#${out##*_}))
        info=$(<file_info.json)
        if [ $((number % 20)) -eq 7 ]; then
            ddisp worker failed -f "$project" "$out" || exit 1
        elif [ $((number % 10)) -eq 3 ] && [[ $info == *'"attempts": 1,'* ]]; then
            ddisp worker failed "$project" "$out" || exit 1
        else
            ddisp worker done "$project" "$out" || exit 1
        fi
    else
        case $out in
            done) exit 0 ;;
            timeout) ;;
            *) exit 1 ;;
        esac
    fi
done
