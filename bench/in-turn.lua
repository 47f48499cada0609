-- For wrk: sends in turn the requests that follow the URL as arguments, each a path, and after a space an Authorization if it has its own.
local requests = {}
local at = 0

function init(arguments)
	local own = wrk.headers['authorization']
	for i, argument in ipairs(arguments) do
		local path, authorization = argument:match('^(%S+) ?(.*)$')
		wrk.headers['authorization'] = authorization ~= '' and authorization or own
		requests[i] = wrk.format('GET', path)
	end
end

function request()
	at = at % #requests + 1
	return requests[at]
end
